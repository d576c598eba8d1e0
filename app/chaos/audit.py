"""What is true after the storm: pure functions over what riders saw, what the log has and what the stores hold."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.chaos.observation import Finding, RiderLog, is_excused
from app.evals.scenario import ExpectedBooking

COUNTS: dict[str, str] = {
    "events_lost": "events lost",
    "events_doubled": "events doubled",
    "events_changed": "events that differ between rider and log",
    "events_after_the_end": "events after the end of their turn",
    "turns_without_one_end": "turns without exactly one terminal event",
    "turns_without_start": "turns without their words or their start",
    "turns_unclosed": "turns left open in the database",
    "inputs_lost": "accepted inputs without a turn",
    "inputs_run_twice": "inputs run twice",
    "inputs_changed": "inputs heard as something else",
    "saved_turns_missing": "turns missing from the saved messages",
    "bookings_lost": "bookings lost",
    "bookings_doubled": "bookings doubled",
    "bookings_wrong": "bookings of another ride",
    "dispatches_lost": "dispatches lost",
    "dispatches_doubled": "dispatches doubled",
    "orphaned_tool_calls": "orphaned tool calls",
    "riders_not_healed": "riders whom no reconnect healed",
    "riders_spared": "riders with fewer than four faults",
    "lanes_left": "lanes of threads still held in Redis",
    "sockets_left": "sockets of clients still open",
    "tasks_left": "tasks over the baseline",
    "files_left": "open files over the baseline",
    "memory_left": "servers over the memory tolerance",
    "crashes": "servers that ended by themselves",
    "stops_refused": "servers that did not stop when told to",
}
"""What must all be zero, by the name in the report, with the words of the table."""

_FEWEST_FAULTS = 4


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """A turn as the database has it."""

    turn_id: str
    status: str
    is_closed: bool


@dataclass(slots=True)
class ThreadEvidence:
    """All that is known of one rider's thread when everything is quiet."""

    rider: RiderLog
    wish: ExpectedBooking
    log: list[str] = field(default_factory=list)
    """The frames of the whole log, read anew."""
    messages: Sequence[Mapping[str, Any]] = ()
    turns: Sequence[StoredTurn] = ()
    bookings: Sequence[Mapping[str, Any]] = ()
    unanswered_calls: Sequence[str] = ()
    """Tool calls without a result in what the agents remember."""
    taxis_sent: int = 0
    """How many the fleet sent for these bookings."""


def audit(evidence: ThreadEvidence) -> list[Finding]:
    """Return everything that must not be in one thread."""
    log = [json.loads(raw) for raw in evidence.log]
    rider = evidence.rider
    return [
        *rider.observation.findings,
        *_check_numbers(rider.thread_id, log),
        *_check_view(evidence),
        *_check_turns(rider, log, evidence.turns),
        *_check_messages(rider.thread_id, log, evidence.turns, evidence.messages),
        *_check_calls(rider.thread_id, log, evidence),
        *_check_bookings(evidence, log),
        *_check_rider(rider),
    ]


def total(findings: Sequence[Finding]) -> dict[str, int]:
    """Return every count, those that are zero too."""
    sums: Counter[str] = Counter()
    for finding in findings:
        sums[finding.count] += finding.number
    return {name: sums[name] for name in COUNTS}


def _check_numbers(thread_id: str, log: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """The log itself counts from 1 without a gap."""
    expected = 1
    for frame in log:
        if frame["seq"] > expected:
            yield Finding(
                "events_lost", thread_id, f"the log goes from {expected - 1} to {frame['seq']}", frame["seq"] - expected
            )
        elif frame["seq"] < expected:
            yield Finding("events_doubled", thread_id, f"the log has {frame['seq']} after {expected - 1}")
        expected = max(expected, frame["seq"] + 1)


def _check_view(evidence: ThreadEvidence) -> Iterator[Finding]:
    """The rider saw what the log has, and nothing else."""
    view = evidence.rider.observation
    written = {json.loads(raw)["seq"]: raw for raw in evidence.log}
    for seq, raw in written.items():
        seen = view.seen.get(seq)
        if seen is None and not is_excused(seq, view.unrecovered):
            yield Finding("events_lost", view.thread_id, f"the rider never saw event {seq}: {raw}")
        elif seen is not None and seen != raw:
            yield Finding("events_changed", view.thread_id, f"the rider saw {seen}, the log has {raw}")
    for seq in view.seen.keys() - written.keys():
        yield Finding("events_lost", view.thread_id, f"the log has lost event {seq}: {view.seen[seq]}")


def _check_turns(rider: RiderLog, log: Sequence[Mapping[str, Any]], turns: Sequence[StoredTurn]) -> Iterator[Finding]:
    """Each turn has one start and one end, last, in the log; and the database agrees with it."""
    stored = {turn.turn_id: turn for turn in turns}
    by_turn: dict[str, list[Mapping[str, Any]]] = {}
    for frame in log:
        if "turn_id" in frame:
            by_turn.setdefault(frame["turn_id"], []).append(frame)
    for turn_id, frames in by_turn.items():
        kinds = Counter(frame["type"] for frame in frames)
        if kinds["turn_end"] != 1:
            yield Finding("turns_without_one_end", rider.thread_id, f"turn {turn_id} has {kinds['turn_end']} ends")
        elif frames[-1]["type"] != "turn_end":
            yield Finding("events_after_the_end", rider.thread_id, f"turn {turn_id} goes on after its end")
        for kind in ("turn_start", "stt_output"):
            if kinds[kind] != 1:
                count = "inputs_run_twice" if kinds[kind] else "turns_without_start"
                yield Finding(count, rider.thread_id, f"turn {turn_id} has {kinds[kind]} {kind}")
        yield from _check_text(rider.thread_id, turn_id, frames)
        if kinds["turn_end"] == 1:
            yield from _check_status(rider.thread_id, frames, stored.get(turn_id))
    for message_id, turn_id in rider.accepted.items():
        if turn_id not in by_turn and not rider.observation.unrecovered:
            yield Finding("inputs_lost", rider.thread_id, f"{message_id} was accepted as turn {turn_id}")
    for turn_id, number in Counter(rider.accepted.values()).items():
        if number > 1:
            yield Finding("inputs_run_twice", rider.thread_id, f"turn {turn_id} answers {number} messages")
    for turn in turns:
        if not turn.is_closed or turn.status == "running":
            yield Finding("turns_unclosed", rider.thread_id, f"turn {turn.turn_id} is {turn.status}")
        if turn.turn_id not in by_turn and not rider.observation.unrecovered:
            yield Finding("turns_without_one_end", rider.thread_id, f"turn {turn.turn_id} is stored and never told")


def _check_text(thread_id: str, turn_id: str, frames: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """The end repeats what was said: a piece that was lost or doubled in the log shows."""
    said = "".join(frame["text"] for frame in frames if frame["type"] == "agent_chunk")
    for frame in frames:
        if frame["type"] == "turn_end" and frame["text"] != said:
            count = "events_doubled" if len(said) > len(frame["text"]) else "events_lost"
            yield Finding(count, thread_id, f"turn {turn_id} said «{said}» and ended with «{frame['text']}»")


def _check_status(thread_id: str, frames: Sequence[Mapping[str, Any]], stored: StoredTurn | None) -> Iterator[Finding]:
    """An end that says completed or interrupted was saved as that."""
    end = next(frame for frame in frames if frame["type"] == "turn_end")
    if end["status"] == "failed":
        return
    if stored is None or stored.status != end["status"]:
        what = "not there" if stored is None else stored.status
        yield Finding("saved_turns_missing", thread_id, f"turn {end['turn_id']} {end['status']}; stored: {what}")


def _check_messages(
    thread_id: str,
    log: Sequence[Mapping[str, Any]],
    turns: Sequence[StoredTurn],
    messages: Sequence[Mapping[str, Any]],
) -> Iterator[Finding]:
    """What was said to the rider is what was saved."""
    users = Counter(message["turn_id"] for message in messages if message["role"] == "user")
    for turn in turns:
        if users[turn.turn_id] != 1:
            count = "saved_turns_missing" if not users[turn.turn_id] else "inputs_run_twice"
            yield Finding(count, thread_id, f"turn {turn.turn_id} has {users[turn.turn_id]} saved inputs")
    for frame in log:
        if frame["type"] != "turn_end" or frame["status"] == "failed":
            continue
        lines = [each for each in messages if each["turn_id"] == frame["turn_id"] and each["role"] == "assistant"]
        saved = "".join(each["content"] for each in lines)
        if saved != frame["text"]:
            what = f"turn {frame['turn_id']} said «{frame['text']}» and saved «{saved}»"
            yield Finding("saved_turns_missing", thread_id, what)


def _check_calls(thread_id: str, log: Sequence[Mapping[str, Any]], evidence: ThreadEvidence) -> Iterator[Finding]:
    """Each tool call has one result: in the log, among the saved messages, and in what the agents remember."""
    called = Counter(frame["toolCallId"] for frame in log if frame["type"] == "tool_call")
    answered = Counter(frame["toolCallId"] for frame in log if frame["type"] == "tool_result")
    for call_id in called.keys() | answered.keys():
        if called[call_id] != 1 or answered[call_id] != 1:
            what = f"call {call_id} is in the log {called[call_id]} times, its result {answered[call_id]} times"
            yield Finding("orphaned_tool_calls", thread_id, what)
    saved = {call["toolCallId"] for each in evidence.messages for call in each.get("tool_calls") or ()}
    results = {each.get("tool_call_id") for each in evidence.messages if each["role"] == "tool"}
    for call_id in saved ^ (results - {None}):
        yield Finding("orphaned_tool_calls", thread_id, f"call {call_id} is saved without its other half")
    for call_id in evidence.unanswered_calls:
        yield Finding("orphaned_tool_calls", thread_id, f"call {call_id} has no result in the agents' memory")


def _check_bookings(evidence: ThreadEvidence, log: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """The rider has one taxi, the one that was wanted; and each that the rider was told of is stored."""
    thread_id, bookings, wish = evidence.rider.thread_id, evidence.bookings, evidence.wish
    if not bookings:
        yield Finding("bookings_lost", thread_id, "no booking is stored")
    elif len(bookings) > 1:
        yield Finding("bookings_doubled", thread_id, f"{len(bookings)} bookings are stored", len(bookings) - 1)
    stored = {booking["booking_id"] for booking in bookings}
    told = {frame["booking_id"] for frame in log if frame.get("booking_id")}
    for booking_id in told - stored:
        yield Finding("bookings_lost", thread_id, f"booking {booking_id} was told and is not stored")
    for booking in bookings:
        got = (booking["pickup"]["address"], booking["pickup"]["neighborhood"], booking["payment_method"])
        wanted = (wish.address, wish.neighborhood, wish.payment_method)
        if got != wanted:
            yield Finding("bookings_wrong", thread_id, f"wanted {wanted}, stored {got}")
    if evidence.taxis_sent != len(bookings):
        count = "dispatches_lost" if evidence.taxis_sent < len(bookings) else "dispatches_doubled"
        yield Finding(count, thread_id, f"{len(bookings)} bookings, {evidence.taxis_sent} taxis")


def _check_rider(rider: RiderLog) -> Iterator[Finding]:
    if rider.gave_up is not None:
        yield Finding("riders_not_healed", rider.thread_id, rider.gave_up)
    if len(rider.faults) < _FEWEST_FAULTS:
        yield Finding("riders_spared", rider.thread_id, f"only {rider.faults}")
