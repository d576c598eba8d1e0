"""The events of a turn are made in one place."""

import pytest

from app.models.conversation import Message
from app.models.events import AgentChunk, AgentEnd, EventSource, TurnEnd
from app.models.sharing import sharing_given

pytestmark = pytest.mark.unit

SOURCE = EventSource("thread", "turn", lambda: 7)


def test_an_event_knows_which_fields_it_was_given() -> None:
    plain = SOURCE.make(TurnEnd, status="completed", text="")
    booked = SOURCE.make(TurnEnd, status="completed", text="", booking_id="b")

    given = {"ts", "thread_id", "turn_id", "status", "text"}
    assert plain.model_fields_set == given
    assert booked.model_fields_set == {*given, "booking_id"}
    assert plain.model_dump(exclude_unset=True) == {
        "ts": 7,
        "thread_id": "thread",
        "turn_id": "turn",
        "status": "completed",
        "text": "",
    }


def test_events_with_the_same_fields_hold_one_set_of_their_names() -> None:
    first, second = (SOURCE.make(AgentChunk, text=text, agent="NAVEGANTE") for text in ("uno", "dos"))
    other = SOURCE.make(AgentEnd, agent="NAVEGANTE")

    assert first.model_fields_set is second.model_fields_set
    assert other.model_fields_set == {"ts", "thread_id", "turn_id", "agent"}


def test_a_copy_of_an_event_does_not_change_what_others_were_given() -> None:
    first = SOURCE.make(TurnEnd, status="completed", text="")
    copied = first.model_copy(update={"booking_id": "b"})

    assert "booking_id" in copied.model_fields_set
    assert "booking_id" not in SOURCE.make(TurnEnd, status="completed", text="").model_fields_set


def test_a_stored_line_shares_the_names_of_its_fields_and_a_copy_has_its_own() -> None:
    first, second = (
        sharing_given(Message(id=each, thread_id="t", turn_id=each, role="user", content="hola", created_at=1))
        for each in ("uno", "dos")
    )
    copied = first.model_copy(update={"partial": True})

    assert first.model_fields_set is second.model_fields_set
    assert copied.model_fields_set == {*first.model_fields_set, "partial"}
    assert "partial" not in second.model_dump(exclude_unset=True)
