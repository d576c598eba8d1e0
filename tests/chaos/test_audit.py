"""The audit can fail: a good history has no findings, and each way to spoil it has its own."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.chaos.audit import COUNTS, StoredTurn, ThreadEvidence, audit, total
from app.chaos.observation import Observation, RiderLog
from app.chaos.servers import Usage
from app.chaos.storm import FILES_TOLERANCE, MEMORY_TOLERANCE_MB, TASKS_TOLERANCE, over_baseline
from app.evals.scenario import ExpectedBooking

pytestmark = pytest.mark.unit

WISH = ExpectedBooking(address="Calle 72 #43-25", neighborhood="El Prado", payment_method="efectivo")
BOOKING = {
    "booking_id": "b1",
    "pickup": {"address": "Calle 72 #43-25", "neighborhood": "El Prado"},
    "payment_method": "efectivo",
}

Frames = list[dict[str, Any]]


def history() -> Frames:
    """A thread in which a taxi was ordered in one turn."""
    frames: Frames = [
        {"type": "stt_output", "text": "Sí, confirmo"},
        {"type": "turn_start", "epoch": "e1"},
        {"type": "tool_call", "toolCallId": "c1", "name": "DispatchToBackend", "args": {}},
        {"type": "tool_result", "toolCallId": "c1", "name": "DispatchToBackend", "result": {"booking_id": "b1"}},
        {"type": "agent_chunk", "text": "Va ", "agent": "CONFIRMADOR"},
        {"type": "agent_chunk", "text": "tu taxi.", "agent": "CONFIRMADOR"},
        {"type": "agent_end", "agent": "CONFIRMADOR"},
        {"type": "turn_end", "status": "completed", "text": "Va tu taxi.", "booking_id": "b1"},
    ]
    return [{**frame, "turn_id": "t1", "seq": number} for number, frame in enumerate(frames, start=1)]


def rider_of(frames: Frames) -> RiderLog:
    """A rider who saw these frames."""
    observation = Observation("thread")
    for frame in frames:
        observation.take(json.dumps(frame))
    log = RiderLog(0, "thread", observation, accepted={"m1": "t1"}, texts={"t1": "Sí, confirmo"})
    log.faults = ["drop"] * 4
    return log


def evidence(seen: Frames | None = None, written: Frames | None = None) -> ThreadEvidence:
    """Everything as it must be, but for what was given."""
    return ThreadEvidence(
        rider=rider_of(history() if seen is None else seen),
        wish=WISH,
        log=[json.dumps(frame) for frame in (history() if written is None else written)],
        messages=[
            {"turn_id": "t1", "role": "user", "content": "Sí, confirmo"},
            {"turn_id": "t1", "role": "assistant", "content": "", "tool_calls": [{"toolCallId": "c1"}]},
            {"turn_id": "t1", "role": "tool", "content": "{}", "tool_call_id": "c1"},
            {"turn_id": "t1", "role": "assistant", "content": "Va tu taxi."},
        ],
        turns=[StoredTurn("t1", "completed", True)],
        bookings=[BOOKING],
        taxis_sent=1,
    )


def counts(of: ThreadEvidence) -> dict[str, int]:
    """The counts that are not zero."""
    return {name: number for name, number in total(audit(of)).items() if number}


def test_a_good_history_has_no_findings() -> None:
    assert counts(evidence()) == {}


def test_an_event_that_the_rider_never_saw_is_lost() -> None:
    seen = history()
    del seen[4]

    assert counts(evidence(seen))["events_lost"] == 2, "the gap as it came, and what stands in it"


def test_the_last_events_are_lost_too_where_nothing_came_after_them() -> None:
    assert counts(evidence(history()[:-2])) == {"events_lost": 2}


def test_an_event_that_the_log_no_longer_has_is_lost() -> None:
    assert counts(evidence(written=[*history()[:4], *history()[5:]]))["events_lost"] >= 1


def test_an_event_that_came_twice_is_doubled() -> None:
    seen = history()
    seen.insert(5, seen[4])

    assert counts(evidence(seen)) == {"events_doubled": 1}


def test_a_chunk_that_was_logged_twice_under_two_numbers_is_doubled() -> None:
    frames = history()
    frames.insert(5, frames[4])
    frames = [{**frame, "seq": number} for number, frame in enumerate(frames, start=1)]

    assert counts(evidence(frames, frames)) == {"events_doubled": 1}


def test_an_event_that_differs_from_the_log_is_counted() -> None:
    seen = history()
    seen[4] = {**seen[4], "text": "Va  "}

    assert counts(evidence(seen)) == {"events_changed": 1}


def test_what_the_log_could_not_give_any_more_is_not_lost() -> None:
    start = {"type": "replay_start", "recovered": False, "epoch": "e2", "last_seq": 8, "messages": []}

    assert counts(evidence([*history()[:3], start])) == {}


def test_a_turn_that_ended_must_be_among_the_saved_messages() -> None:
    start = {"type": "replay_start", "recovered": False, "epoch": "e2", "last_seq": 8, "messages": []}

    assert counts(evidence([*history(), start])) == {"saved_turns_missing": 1}


def test_two_terminal_events_are_counted() -> None:
    frames = [*history(), {**history()[-1], "seq": 9}]

    assert counts(evidence(frames, frames))["turns_without_one_end"] == 2, "by the rider and in the log"


def test_no_terminal_event_is_counted() -> None:
    frames = history()[:-1]

    assert counts(evidence(frames, frames)) == {"turns_without_one_end": 1}


def test_a_turn_without_its_start_is_counted() -> None:
    frames = [frame for frame in history() if frame["type"] != "turn_start"]
    frames = [{**frame, "seq": number} for number, frame in enumerate(frames, start=1)]

    assert counts(evidence(frames, frames)) == {"turns_without_start": 1}


def test_what_follows_the_end_of_a_turn_is_counted() -> None:
    frames = [*history(), {"type": "agent_end", "agent": "CONFIRMADOR", "turn_id": "t1", "seq": 9}]

    assert counts(evidence(frames, frames))["events_after_the_end"] == 2, "by the rider and in the log"


def test_an_input_that_ran_twice_is_counted() -> None:
    again = [{**frame, "turn_id": "t2", "seq": frame["seq"] + 8} for frame in history()]
    found = evidence([*history(), *again], [*history(), *again])
    found.rider.accepted["m2"] = "t1"

    assert counts(found)["inputs_run_twice"] == 1


def test_an_accepted_input_without_a_turn_is_lost() -> None:
    found = evidence()
    found.rider.accepted["m2"] = "t2"

    assert counts(found) == {"inputs_lost": 1}


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda found: found.bookings.clear(), {"bookings_lost": 2, "dispatches_doubled": 1}),
        (
            lambda found: found.bookings.append({**BOOKING, "booking_id": "b2"}),
            {"bookings_doubled": 1, "dispatches_lost": 1},
        ),
        (
            lambda found: found.bookings.append(found.bookings.pop() | {"payment_method": "nequi"}),
            {"bookings_wrong": 1},
        ),
        (lambda found: setattr(found, "taxis_sent", 0), {"dispatches_lost": 1}),
        (lambda found: setattr(found, "taxis_sent", 2), {"dispatches_doubled": 1}),
        (lambda found: found.messages.pop(2), {"orphaned_tool_calls": 1}),
        (lambda found: setattr(found, "unanswered_calls", ["c1"]), {"orphaned_tool_calls": 1}),
        (lambda found: found.messages.pop(0), {"saved_turns_missing": 1}),
        (lambda found: found.messages.pop(3), {"saved_turns_missing": 1}),
        (lambda found: found.messages.append(found.messages[0]), {"inputs_run_twice": 1}),
        (lambda found: found.turns.append(StoredTurn("t2", "running", False)), {"turns_unclosed": 1}),
        (lambda found: setattr(found, "turns", [StoredTurn("t1", "failed", True)]), {"saved_turns_missing": 1}),
        (lambda found: setattr(found.rider, "gave_up", "tired"), {"riders_not_healed": 1}),
        (lambda found: found.rider.faults.pop(), {"riders_spared": 1}),
    ],
)
def test_what_the_stores_have_wrong_is_counted(
    spoil: Callable[[ThreadEvidence], object], expected: dict[str, int]
) -> None:
    found = evidence()
    spoil(found)

    assert counts(found).items() >= expected.items()


def test_a_tool_call_without_its_result_is_an_orphan() -> None:
    frames = [frame for frame in history() if frame["type"] != "tool_result"]
    frames = [{**frame, "seq": number} for number, frame in enumerate(frames, start=1)]

    assert counts(evidence(frames, frames)) == {"orphaned_tool_calls": 1}


def test_every_finding_has_its_line_in_the_table() -> None:
    found = evidence([], [])
    found.bookings = []

    assert {finding.count for finding in audit(found)} <= COUNTS.keys()


def test_what_servers_hold_more_than_before_is_counted() -> None:
    before = [Usage(client_sockets=0, files=40, threads=8, tasks=10, resident_mb=150.0)] * 3
    good = Usage(0, 40 + FILES_TOLERANCE, 30, 10 + TASKS_TOLERANCE, 150.0 + MEMORY_TOLERANCE_MB)
    bad = Usage(2, 41 + FILES_TOLERANCE, 30, 11 + TASKS_TOLERANCE, 151.0 + MEMORY_TOLERANCE_MB)
    mute = Usage(0, 40, 8, -1, 150.0)

    assert over_baseline(before, [good, good, good]) == []
    assert {finding.count for finding in over_baseline(before, [good, bad, good])} == {
        "sockets_left",
        "files_left",
        "tasks_left",
        "memory_left",
    }
    assert [finding.count for finding in over_baseline(before, [mute])] == ["tasks_left"]
