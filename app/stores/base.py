"""What a store must do. Implementations: ``memory.py``, ``rates.py``, ``recordings.py``, ``sql/``, ``redis/``.

Every method may raise ``StoreError``; a caller that cannot wait for ever sets its own deadline.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Literal, Protocol

from app.models.account import Account, RefreshToken
from app.models.booking import Booking
from app.models.conversation import Conversation, Message, TurnEnding, TurnRecord
from app.models.delivery import Delivery, DeliveryKind, DeliveryState, Revision
from app.models.events import Position, Record, ThreadEvent, TurnStatus
from app.models.explanations import ExplanationSession, SavedAnswer
from app.models.rate import Rate, Verdict
from app.models.recordings import RecordingInfo

Change = Callable[[Booking], Revision | None]
"""Makes what becomes of a booking, or None to leave it. Pure."""


class BookingStore(Protocol):
    """Bookings, by their id and by the request that made them."""

    async def create(self, booking: Booking) -> Booking:
        """Store a booking once per ``request_key``, and with a new one the delivery that sends its taxi.

        Returns:
            The booking of that key: the given one, or the one stored before.
        """
        ...

    async def get(self, booking_id: str) -> Booking | None:
        """Return a booking, or None."""
        ...

    async def list(self, thread_id: str) -> Sequence[Booking]:
        """Return the bookings of a thread, oldest first."""
        ...

    async def revise(
        self, booking_id: str, change: Change, *, event_id: str | None = None, at: int = 0
    ) -> Booking | None:
        """Change a booking and store what must be delivered because of it, as one step.

        Args:
            booking_id: Which one.
            change: Makes the changed booking of the present one. It may be called again with a newer one.
            event_id: The event that makes the change; what an event did is not done twice.
            at: When the event came; milliseconds since the epoch.

        Returns:
            The changed booking; None where there is no such booking, ``change`` leaves it, or the event
            was known.
        """
        ...


class Outbox(Protocol):
    """Deliveries that bookings entail, until they are made. Filled by ``BookingStore``."""

    async def claim(
        self, owner: str, *, kinds: frozenset[DeliveryKind], now: int, lease_until: int, limit: int
    ) -> Sequence[Delivery]:
        """Take deliveries that are due, oldest first, so that nobody else has them until ``lease_until``.

        Of a lane only the oldest pending one is given. What was claimed before and not settled is due
        again once its lease has run out. Each claim counts as an attempt.
        """
        ...

    async def settle(
        self, claimed: Delivery, state: DeliveryState, *, next_attempt_at: int = 0, error: str | None = None
    ) -> bool:
        """Store what came of a claimed delivery; ``pending`` is for later. Ends the lease.

        Returns:
            Whether it was still claimed so; if not, nothing was changed.
        """
        ...

    async def get(self, delivery_id: str) -> Delivery | None:
        """Return a delivery, or None."""
        ...

    async def list(self, *states: DeliveryState, limit: int = 100) -> Sequence[Delivery]:
        """Return deliveries in one of ``states``, oldest first."""
        ...

    async def counts(self) -> Mapping[DeliveryState, int]:
        """Return how many deliveries are pending and how many are parked."""
        ...

    async def retry(self, name: str | None, *, now: int) -> int:
        """Make parked deliveries due again.

        Args:
            name: The id of one, or of the booking that it is about; None is all.
            now: Milliseconds since the epoch.

        Returns:
            How many there were.
        """
        ...

    async def prune(self, *, before: int) -> None:
        """Forget deliveries that were made, and ids of events, from before a time in milliseconds."""
        ...


class ConversationStore(Protocol):
    """Conversations with their messages, and the turns that made them."""

    async def begin_turn(self, turn: TurnRecord, message: Message, conversation: Conversation) -> bool:
        """Open the conversation if it is new, and store the turn as running with the rider's message.

        Its owner is who opens it. A ``user_id`` is set where there was none, and never changed.
        A turn that replaces another one takes the place of that rider's message and of all that came after it.
        Repeating it changes nothing, also when the turn has ended since.

        Returns:
            Whether the turn was not known.

        Raises:
            ForbiddenThread: The conversation is there and does not admit the one given. Nothing was changed.
        """
        ...

    async def end_turn(self, turn_id: str, status: TurnStatus, ended_at: int, messages: Sequence[Message]) -> None:
        """Store how a turn ended and the messages it made, as one step. Repeating it changes nothing."""
        ...

    async def close_turns(self, turn_ids: Sequence[str]) -> None:
        """Note that the terminal events of these turns were logged: nothing is left to do for them."""
        ...

    async def turn(self, turn_id: str) -> TurnRecord | None:
        """Return a turn, or None where none was begun under that id."""
        ...

    async def unclosed_turns(self) -> Sequence[TurnRecord]:
        """Return the turns that were not closed, oldest first."""
        ...

    async def get(self, thread_id: str) -> Conversation | None:
        """Return a conversation, or None."""
        ...

    async def messages(self, thread_id: str, *, limit: int | None = None) -> Sequence[Message]:
        """Return the newest ``limit`` messages of a conversation, oldest first."""
        ...

    async def open(self, conversation: Conversation) -> None:
        """Store a conversation that nobody has spoken in yet. One that is there stays as it is."""
        ...

    async def of_owner(
        self, owner: str, *, limit: int, before: tuple[int, str] | None = None
    ) -> Sequence[Conversation]:
        """Return the conversations of an account, newest first.

        Args:
            owner: The account.
            limit: How many at most.
            before: ``updated_at`` and ``thread_id`` of the last one that was seen.
        """
        ...

    async def rename(self, thread_id: str, title: str, *, at: int) -> Conversation | None:
        """Give a conversation a title; ``at`` is in milliseconds since the epoch. None where there is none."""
        ...

    async def share(self, thread_id: str, share_hash: str | None) -> None:
        """Let whoever knows what hashes to this read a conversation, and nobody whom it was shared with before."""
        ...

    async def shared(self, share_hash: str) -> Conversation | None:
        """Return the conversation that is shared so, or None."""
        ...

    async def forget(self, thread_id: str) -> None:
        """Delete a conversation, its messages and its turns."""
        ...

    async def ping(self) -> None:
        """Raise where the store cannot be reached."""
        ...


class AccountStore(Protocol):
    """Accounts, what keeps them logged in, and the server's own secret."""

    async def add(self, account: Account, name_key: str) -> bool:
        """Store an account. Returns False, and changes nothing, where the name is taken."""
        ...

    async def get(self, account_id: str) -> Account | None:
        """Return an account, or None."""
        ...

    async def by_name(self, name_key: str) -> Account | None:
        """Return an account by its name, or None."""
        ...

    async def list(self) -> Sequence[Account]:
        """Return all accounts, oldest first."""
        ...

    async def set_password(self, account_id: str, password_hash: str) -> None:
        """Keep another password."""
        ...

    async def remove(self, account_id: str) -> None:
        """Delete an account and its refresh tokens."""
        ...

    async def add_refresh_token(self, token: RefreshToken, *, now: int) -> None:
        """Store a refresh token; those that ran out before ``now`` (milliseconds) are forgotten."""
        ...

    async def use_refresh_token(self, token_hash: str, *, now: int) -> RefreshToken | None:
        """Note that a refresh token is used, as one step.

        Returns:
            The token as it was before: ``used_at`` says when it was first used. None where there is none.
        """
        ...

    async def revoke_family(self, family: str) -> None:
        """Delete all refresh tokens of a login."""
        ...

    async def revoke_all(self, account_id: str) -> None:
        """Delete all refresh tokens of an account."""
        ...

    async def secret(self, name: str, proposed: str) -> str:
        """Return the secret of that name, the same for every process; the first one proposed is kept."""
        ...


class RateCounter(Protocol):
    """How often things were done, in sliding windows."""

    async def hit(self, rate: Rate, key: str) -> Verdict:
        """Count a hit under a key, if the rate has room for it. One that is refused is not counted.

        Args:
            rate: How much is let in. A key is counted for each rate by itself.
            key: What is counted together; forgotten two windows after its last hit.
        """
        ...

    async def look(self, rate: Rate, key: str) -> Verdict:
        """Return what would be said of a hit, without counting it; ``remaining`` is how many would be let in."""
        ...


class LogReader(Protocol):
    """A reading position in the log of one thread."""

    recovered: bool
    """Whether the log reached back to the position that was asked for."""
    position: Position
    """The newest position when the reader was opened."""

    async def read(self) -> Sequence[Record]:
        """Return the next records, at least one; wait for them if need be.

        Raises:
            LogTruncated: The reader fell behind what the log keeps, or the log was forgotten.
        """
        ...


class EventLog(Protocol):
    """The events of each thread in order, numbered from 1 without a gap."""

    @property
    def backlog(self) -> int:
        """Events that were appended by this process and are not yet stored."""
        ...

    async def position(self, thread_id: str) -> Position:
        """Return the newest position of a thread; ``seq`` 0 where nothing was logged."""
        ...

    async def append(self, thread_id: str, events: Sequence[ThreadEvent], *, durable: bool = False) -> None:
        """Log events and let every reader have them, in every process.

        Args:
            thread_id: The thread.
            events: In order; all of them ``replayable``.
            durable: Return, and let readers have the events, only once they are stored. Where storing
                fails they may be stored all the same. So an append that fails is repeated, or another
                with the same ``once`` is made in its place: never are both logged.

        Raises:
            LaneLost: The events are of a turn, and another process has the turns of the thread.
        """
        ...

    def begin(self, thread_id: str) -> None:
        """Note that a thread's id was made a moment ago: nothing can be stored of it, and nothing need be looked up."""
        ...

    def open(
        self, thread_id: str, *, after_seq: int | None = None, epoch: str | None = None
    ) -> AbstractAsyncContextManager[LogReader]:
        """Open a reader of what follows ``after_seq``; None is the newest position.

        With an ``epoch`` that is not the log's, or an ``after_seq`` that the log does not reach, the
        reader says ``recovered`` false and starts at the newest position.
        """
        ...

    async def is_read(self, thread_id: str) -> bool:
        """Return whether a reader of the thread is open, in any process."""
        ...

    async def forget(self, thread_id: str) -> None:
        """Delete the log of a thread."""
        ...


class Endings(Protocol):
    """The end of a turn, over the stores that have a part in it."""

    async def end(self, ending: TurnEnding, events: Sequence[ThreadEvent]) -> None:
        """Save how a turn ended, log its last events, and close it, now or in a moment.

        No reader has the events before all else is stored. Repeating it without the events changes nothing.
        Where only the closing fails, the turn is found and closed later, as after the death of a process.

        Args:
            ending: What is saved.
            events: In order; none where they were logged before.

        Raises:
            StoreError: It may have happened all the same, as with a durable append.
            LaneLost: Another process has the turns of the thread.
        """
        ...


Command = Literal["cancel", "pause", "resume"]
CommandHandler = Callable[[str, Command, str], None]
"""Takes the lane, what is to be done with what runs there, and on whose behalf."""

_KIND = "\x1f"
"""Ends the kind of a lane. The id of a thread cannot have it, so nobody can name a lane that is no thread's."""


def lane_name(kind: str, name: str) -> str:
    """Return the name of a lane for something else than the turns of a thread; ``name`` has no spaces."""
    return f"{kind}{_KIND}{name}"


def lane_kind(lane: str) -> str:
    """Return the kind of a lane: '' is that of threads."""
    return lane.partition(_KIND)[0] if _KIND in lane else ""


class Lease(Protocol):
    """The right to run the turns of a thread."""

    was_abandoned: bool
    """Whether whoever had it before died, or left a turn open."""
    leaves_open: bool
    """Set where a turn could not be closed: whoever has the lane next is told that it was abandoned."""

    @property
    def is_lost(self) -> bool:
        """Whether another process may have the lane. The handler of commands is told ``cancel`` then."""
        ...


class Lanes(Protocol):
    """Who runs the turns of a thread: one process at a time.

    A process keeps its lanes by being alive. Those of one that died are free after a while.
    """

    def take(
        self, thread_id: str, *, urge: Command | None = None, on_behalf_of: str = ""
    ) -> AbstractAsyncContextManager[Lease]:
        """Wait for the lane of a thread and keep it within the block.

        Args:
            thread_id: The thread.
            urge: What whoever has it is told, once.
            on_behalf_of: For which turn, which may be running there already.
        """
        ...

    def take_free(self, thread_id: str) -> AbstractAsyncContextManager[Lease | None]:
        """Keep the lane of a thread within the block, or have None where somebody has it."""
        ...

    def holds(self, thread_id: str) -> bool:
        """Return whether this process has the lane of a thread, as far as it can know without asking."""
        ...

    async def free(self, thread_ids: Sequence[str]) -> Sequence[str]:
        """Return those of the threads whose lane nobody has."""
        ...

    async def command(self, thread_id: str, command: Command) -> bool:
        """Tell the process that has the lane of a thread. Returns whether one heard it."""
        ...

    def on_command(self, handler: CommandHandler, *, kind: str = "") -> None:
        """Have ``handler`` called when this process is told something of a lane.

        Args:
            handler: Takes the lane, the command, and on whose behalf it is. Must not wait.
            kind: That of the lanes (``lane_name``); those of threads have none.
        """
        ...


class AnswerStore(Protocol):
    """Explanations that were generated, by the hash of their question."""

    async def find(self, question_hash: str) -> SavedAnswer | None:
        """Return an answer, or None."""
        ...

    async def save(self, answer: SavedAnswer) -> SavedAnswer:
        """Store an answer, and return the one of that hash: the given one, or the one that was faster."""
        ...

    async def count_hit(self, question_hash: str, *, at: int) -> None:
        """Note that an answer was asked for again; ``at`` is in milliseconds since the epoch."""
        ...

    async def prune(self, *, keep: int) -> None:
        """Forget all answers but the ``keep`` that were asked for last."""
        ...


class ExplanationSessionStore(Protocol):
    """Where users are in explanations; each entry lives for a while from when it was put."""

    async def get(self, user_id: str) -> ExplanationSession | None:
        """Return a user's session, or None."""
        ...

    async def put(self, session: ExplanationSession, *, seconds: float) -> None:
        """Store a session for ``seconds`` from now, in place of what there is."""
        ...

    async def forget(self, user_id: str) -> None:
        """Forget a user's session."""
        ...


class RecordingWriter(Protocol):
    """A recording that goes on. Nothing of it is lost that was written before the process dies."""

    async def write(self, rider: bytes, agent: bytes) -> None:
        """Write what comes next: mono ``pcm_s16le`` at ``HEARING_RATE`` and at ``SPEAKING_RATE``, equally long.

        Raises:
            NotFound: The recording was deleted meanwhile.
        """
        ...

    async def save(self, info: RecordingInfo) -> None:
        """Store what is known of it by now. Raises as ``write`` does."""
        ...

    async def end(self, info: RecordingInfo) -> None:
        """Close the sound, then store what is known of it. Nothing is written after that. Raises as ``write`` does."""
        ...


class RecordingStore(Protocol):
    """Recordings: their sound, and what is known of each."""

    def new_id(self, thread_id: str) -> str:
        """Return the id of a new recording of a thread. Nobody can guess it."""
        ...

    def open(self, info: RecordingInfo) -> AbstractAsyncContextManager[RecordingWriter]:
        """Begin a recording. A block that is left without its ``end`` leaves it open, for ``sweep`` to close."""
        ...

    async def get(self, recording_id: str) -> RecordingInfo | None:
        """Return what is known of a recording, or None. Any text may be asked for."""
        ...

    async def of_thread(self, thread_id: str) -> Sequence[RecordingInfo]:
        """Return the recordings of a thread, oldest first."""
        ...

    async def audio(self, recording_id: str) -> Path | None:
        """Return the file of a recording's sound, Ogg with Opus in stereo; None where there is no such recording."""
        ...

    def wav(self, recording_id: str, *, duration_ms: int) -> AsyncIterator[bytes]:
        """Return a recording as a WAV file in stereo at ``SPEAKING_RATE``, exactly this long, piece by piece."""
        ...

    async def delete(self, recording_id: str) -> bool:
        """Delete a recording, also one that goes on. Returns whether there was one."""
        ...

    async def forget(self, thread_id: str) -> None:
        """Delete all recordings of a thread."""
        ...

    async def sweep(self, *, now: int) -> int:
        """Delete what has expired, and close what a dead process left open, or delete it where it has no sound.

        Args:
            now: Milliseconds since the epoch.

        Returns:
            How many recordings were closed or deleted.
        """
        ...
