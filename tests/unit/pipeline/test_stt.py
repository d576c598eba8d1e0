"""What was typed is what was heard; what was heard is not told again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.conversation import TurnInput
from app.models.events import EventSource
from app.pipeline.stt import growing, stt_stage

pytestmark = pytest.mark.unit


def test_words_come_in_growing_groups_and_then_all_of_them() -> None:
    assert list(growing("Necesito un taxi a la Calle 72")) == [
        "Necesito un",
        "Necesito un taxi a",
        "Necesito un taxi a la Calle",
        "Necesito un taxi a la Calle 72",
    ]


@given(st.text(max_size=4000))
def test_partials_grow_are_few_and_never_empty(text: str) -> None:
    partials = list(growing(text))

    assert len(partials) <= 9
    assert all(partials)
    assert all(text.startswith(partial) for partial in partials)
    assert partials == sorted(partials, key=len)


@pytest.mark.parametrize(("is_heard", "types"), [(False, ["stt_chunk", "stt_output"]), (True, ["stt_output"])])
async def test_only_what_was_typed_is_told_as_if_it_grew(is_heard: bool, types: list[str]) -> None:
    said = TurnInput("t", "u", "un taxi", received_at=1, is_heard=is_heard)

    told = [event async for event in stt_stage(said, EventSource("t", "u", lambda: 1))]

    assert [event.type for event in told] == types
    assert {event.text for event in told} == {"un taxi"}  # type: ignore[attr-defined]
