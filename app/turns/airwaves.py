"""What is heard and not logged: sound, on its way to those who listen in this process.

A chunk of sound is worth nothing a second later, so it has no place in the event log: it goes beside it. A turn
runs where its microphone is, so whoever hears it is in the same process; a connection elsewhere reads the words.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from app.core.bell import Bell
from app.models.events import TurnEvent

log = structlog.stdlib.get_logger("voztaxi.sound")

_ROOM = 600
"""Events that may wait for one listener: a minute of sound. A client that takes nothing is closed long before."""


class Listener:
    """What one connection has not yet taken of a thread's sound, in order.

    Args:
        on_first: Called once, when the first sound comes: most threads are only read.
    """

    def __init__(self, on_first: Callable[["Listener"], None] | None = None) -> None:
        self._waiting: list[tuple[TurnEvent, int]] = []
        self._bell = Bell()
        self._has_lost = False
        self._on_first = on_first

    def give(self, event: TurnEvent, after_seq: int) -> None:
        """Add an event. Where it is too much the oldest one goes."""
        if len(self._waiting) >= _ROOM:
            lost, _ = self._waiting.pop(0)
            if not self._has_lost:
                log.warning("sound was not taken", thread_id=lost.thread_id, turn_id=lost.turn_id)
            self._has_lost = True
        self._waiting.append((event, after_seq))
        self._bell.ring()
        on_first, self._on_first = self._on_first, None
        if on_first is not None:
            on_first(self)

    async def wait(self) -> None:
        """Wait until something comes that was not there before."""
        await self._bell.wait()

    def take(self, sent_seq: int) -> TurnEvent | None:
        """Return the next event, if all that was logged before it has been sent."""
        if self._waiting and self._waiting[0][1] <= sent_seq:
            return self._waiting.pop(0)[0]
        return None

    def take_of(self, turn_id: str) -> TurnEvent | None:
        """Return the next event, if it is of a turn: its end is about to be sent."""
        if any(event.turn_id == turn_id for event, _ in self._waiting):
            return self._waiting.pop(0)[0]
        return None


class Airwaves:
    """Carries sound from the turns to the listeners of their threads."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener]] = {}

    def publish(self, event: TurnEvent, after_seq: int) -> None:
        """Let all who listen have an event, once they were sent what the log has up to ``after_seq``."""
        for listener in self._listeners.get(event.thread_id, ()):
            listener.give(event, after_seq)

    @contextmanager
    def listen(self, thread_id: str, on_first: Callable[[Listener], None] | None = None) -> Iterator[Listener]:
        """Open a listener: it has what is published from now on. ``on_first``: see ``Listener``."""
        listener = Listener(on_first)
        self._listeners.setdefault(thread_id, []).append(listener)
        try:
            yield listener
        finally:
            others = [each for each in self._listeners[thread_id] if each is not listener]
            if others:
                self._listeners[thread_id] = others
            else:
                del self._listeners[thread_id]
