"""What a rider has seen of a thread, held to the protocol as it comes. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be."""

    count: str
    """Which of the counts it belongs to, such as ``events_lost``."""
    thread_id: str
    what: str
    number: int = 1


@dataclass(slots=True)
class Observation:
    """One rider's view of one thread, over all its connections.

    A rider keeps the newest ``seq`` and the ``epoch``, as the protocol says, and asks for what
    follows after each loss. So whatever the connections went through, the numbers must go on by one.
    """

    thread_id: str
    seq: int = 0
    epoch: str | None = None
    seen: dict[int, str] = field(default_factory=dict)
    """The frames by their number, as they came over the wire."""
    unrecovered: list[tuple[int, int]] = field(default_factory=list)
    """Numbers that the log no longer had: from after the first up to and with the second."""
    ended: dict[str, str] = field(default_factory=dict)
    """The turns whose end was seen, with its status."""
    begun: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)

    def take(self, raw: str) -> dict[str, Any]:
        """Check a frame and keep it; return it read."""
        frame: dict[str, Any] = json.loads(raw)
        if frame["type"] == "replay_start":
            self._start_again(frame)
        elif "seq" in frame:
            self._take_event(frame["seq"], raw, frame)
        return frame

    def _start_again(self, frame: Mapping[str, Any]) -> None:
        self.epoch = frame["epoch"]
        if frame["recovered"]:
            return
        self.unrecovered.append((self.seq, frame["last_seq"]))
        self.seq = frame["last_seq"]
        saved = {message["turn_id"] for message in frame["messages"]}
        missing = [turn for turn, status in self.ended.items() if status != "failed" and turn not in saved]
        for turn in missing:
            self._find("saved_turns_missing", f"turn {turn} ended before the gap and is not among the saved messages")

    def _take_event(self, seq: int, raw: str, frame: Mapping[str, Any]) -> None:
        if seq <= self.seq:
            self._find("events_doubled", f"event {seq} came after {self.seq}")
            return
        if seq > self.seq + 1:
            self._find("events_lost", f"event {seq} came after {self.seq}", seq - self.seq - 1)
        self.seq = seq
        self.seen[seq] = raw
        turn_id = frame.get("turn_id")
        if turn_id is None:
            return
        if turn_id in self.ended:
            count = "turns_without_one_end" if frame["type"] == "turn_end" else "events_after_the_end"
            self._find(count, f"{frame['type']} {seq} came after the end of turn {turn_id}")
        self.begun.add(turn_id)
        if frame["type"] == "turn_start":
            self.epoch = frame["epoch"]
        elif frame["type"] == "turn_end":
            self.ended.setdefault(turn_id, frame["status"])

    def _find(self, count: str, what: str, number: int = 1) -> None:
        self.findings.append(Finding(count, self.thread_id, what, number))


@dataclass(frozen=True, slots=True)
class Recovery:
    """One time that a rider came back."""

    at: float
    """``time.perf_counter`` when TCP had connected."""
    milliseconds: float
    """From there to the beginning of the replay."""
    outage_milliseconds: float
    """From the loss to the beginning of the replay, with all attempts and the waits between them."""
    attempts: int
    port: int
    transport: str


@dataclass(slots=True)
class RiderLog:
    """What became of a rider."""

    number: int
    thread_id: str
    observation: Observation
    accepted: dict[str, str] = field(default_factory=dict)
    """The turn of each input that was accepted, by its ``message_id``."""
    texts: dict[str, str] = field(default_factory=dict)
    """What was said in each of these turns."""
    own_interruptions: set[str] = field(default_factory=set)
    """Turns that the rider cut short."""
    faults: list[str] = field(default_factory=list)
    recoveries: list[Recovery] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    """Codes of the errors that were met."""
    failures: list[tuple[str, float]] = field(default_factory=list)
    """Code of each failed turn, and when its end was written: Unix time."""
    is_booked: bool = False
    gave_up: str | None = None
    """Why the rider's conversation did not come to its end."""


def is_excused(seq: int, unrecovered: Sequence[tuple[int, int]]) -> bool:
    """Return whether a rider need not have seen an event: the log had begun anew."""
    return any(after < seq <= last for after, last in unrecovered)
