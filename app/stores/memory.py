"""Every store in plain Python: for tests, and for runs that need to keep nothing."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.core.bell import Bell
from app.core.clock import NewId, NowMs, now_ms
from app.core.errors import ForbiddenThread, LogTruncated
from app.core.logging import bound_ids
from app.models.account import Account, RefreshToken
from app.models.booking import Booking
from app.models.conversation import Conversation, Message, TurnRecord
from app.models.delivery import Delivery, DeliveryKind, DeliveryState, dispatch_of
from app.models.events import Position, Record, ThreadEvent, TurnStatus
from app.models.explanations import ExplanationSession, SavedAnswer
from app.models.sharing import sharing_given
from app.stores.base import Change, Command, CommandHandler


class MemoryOutbox:
    """Deliveries in a dict."""

    def __init__(self) -> None:
        self._deliveries: dict[str, Delivery] = {}
        self._events: dict[str, int] = {}

    def add(self, deliveries: Sequence[Delivery]) -> None:
        """Take deliveries; what is here already stays as it is."""
        trace = bound_ids()
        for delivery in deliveries:
            self._deliveries.setdefault(delivery.delivery_id, delivery.model_copy(update={"trace": trace}))

    def is_new(self, event_id: str, at: int) -> bool:
        """Note an event and return whether it was not known."""
        is_new = event_id not in self._events
        self._events.setdefault(event_id, at)
        return is_new

    async def claim(
        self, owner: str, *, kinds: frozenset[DeliveryKind], now: int, lease_until: int, limit: int
    ) -> Sequence[Delivery]:
        """See ``Outbox``."""
        lease = {"lease_owner": owner, "lease_until": lease_until}
        claimed: list[Delivery] = []
        lanes: set[str] = set()
        for delivery in list(self._deliveries.values()):
            if delivery.state != "pending" or delivery.lane in lanes or len(claimed) >= limit:
                continue
            lanes.add(delivery.lane)
            if delivery.kind in kinds and delivery.next_attempt_at <= now and delivery.lease_until <= now:
                taken = delivery.model_copy(update={**lease, "attempts": delivery.attempts + 1})
                self._deliveries[delivery.delivery_id] = taken
                claimed.append(taken)
        return claimed

    async def settle(
        self, claimed: Delivery, state: DeliveryState, *, next_attempt_at: int = 0, error: str | None = None
    ) -> bool:
        """See ``Outbox``."""
        if self._deliveries.get(claimed.delivery_id) != claimed:
            return False
        fields = {"state": state, "next_attempt_at": next_attempt_at, "last_error": error}
        self._deliveries[claimed.delivery_id] = claimed.model_copy(
            update={**fields, "lease_owner": None, "lease_until": 0}
        )
        return True

    async def get(self, delivery_id: str) -> Delivery | None:
        """See ``Outbox``."""
        return self._deliveries.get(delivery_id)

    async def list(self, *states: DeliveryState, limit: int = 100) -> Sequence[Delivery]:
        """See ``Outbox``."""
        return [each for each in self._deliveries.values() if each.state in states][:limit]

    async def counts(self) -> Mapping[DeliveryState, int]:
        """See ``Outbox``."""
        found = Counter(delivery.state for delivery in self._deliveries.values())
        return {"pending": found["pending"], "parked": found["parked"]}

    async def retry(self, name: str | None, *, now: int) -> int:
        """See ``Outbox``."""
        parked = [
            delivery
            for delivery in self._deliveries.values()
            if delivery.state == "parked" and name in (None, delivery.delivery_id, delivery.booking_id)
        ]
        for delivery in parked:
            self._deliveries[delivery.delivery_id] = delivery.model_copy(
                update={"state": "pending", "next_attempt_at": now}
            )
        return len(parked)

    async def prune(self, *, before: int) -> None:
        """See ``Outbox``."""
        kept = ("pending", "parked")
        self._deliveries = {
            key: each for key, each in self._deliveries.items() if each.state in kept or each.created_at >= before
        }
        self._events = {key: at for key, at in self._events.items() if at >= before}


class MemoryBookingStore:
    """Bookings in a dict.

    Args:
        outbox: Where their deliveries go; one of its own where none is given.
    """

    def __init__(self, outbox: MemoryOutbox | None = None) -> None:
        self.outbox = outbox or MemoryOutbox()
        self._bookings: dict[str, Booking] = {}
        self._by_request: dict[str, str] = {}

    async def create(self, booking: Booking) -> Booking:
        """See ``BookingStore``."""
        booking_id = self._by_request.setdefault(booking.request_key, booking.booking_id)
        if booking_id not in self._bookings:
            self.outbox.add([dispatch_of(booking)])
        return self._bookings.setdefault(booking_id, booking)

    async def get(self, booking_id: str) -> Booking | None:
        """See ``BookingStore``."""
        return self._bookings.get(booking_id)

    async def list(self, thread_id: str) -> Sequence[Booking]:
        """See ``BookingStore``."""
        return [booking for booking in self._bookings.values() if booking.thread_id == thread_id]

    async def revise(
        self, booking_id: str, change: Change, *, event_id: str | None = None, at: int = 0
    ) -> Booking | None:
        """See ``BookingStore``."""
        if event_id is not None and not self.outbox.is_new(event_id, at):
            return None
        booking = self._bookings.get(booking_id)
        revision = None if booking is None else change(booking)
        if revision is None:
            return None
        self._bookings[booking_id] = revision.booking
        self.outbox.add(revision.deliveries)
        return revision.booking


class MemoryAccountStore:
    """Accounts in dicts."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._names: dict[str, str] = {}
        self._tokens: dict[str, RefreshToken] = {}
        self._secrets: dict[str, str] = {}

    async def add(self, account: Account, name_key: str) -> bool:
        """See ``AccountStore``."""
        if name_key in self._names:
            return False
        self._names[name_key] = account.account_id
        self._accounts[account.account_id] = account
        return True

    async def get(self, account_id: str) -> Account | None:
        """See ``AccountStore``."""
        return self._accounts.get(account_id)

    async def by_name(self, name_key: str) -> Account | None:
        """See ``AccountStore``."""
        return self._accounts.get(self._names.get(name_key, ""))

    async def list(self) -> Sequence[Account]:
        """See ``AccountStore``."""
        return list(self._accounts.values())

    async def set_password(self, account_id: str, password_hash: str) -> None:
        """See ``AccountStore``."""
        account = self._accounts.get(account_id)
        if account is not None:
            self._accounts[account_id] = account.model_copy(update={"password_hash": password_hash})

    async def remove(self, account_id: str) -> None:
        """See ``AccountStore``."""
        self._accounts.pop(account_id, None)
        self._names = {name: owner for name, owner in self._names.items() if owner != account_id}
        await self.revoke_all(account_id)

    async def add_refresh_token(self, token: RefreshToken, *, now: int) -> None:
        """See ``AccountStore``."""
        self._tokens = {key: each for key, each in self._tokens.items() if each.expires_at >= now}
        self._tokens[token.token_hash] = token

    async def use_refresh_token(self, token_hash: str, *, now: int) -> RefreshToken | None:
        """See ``AccountStore``."""
        token = self._tokens.get(token_hash)
        if token is not None and token.used_at is None:
            self._tokens[token_hash] = token.model_copy(update={"used_at": now})
        return token

    async def revoke_family(self, family: str) -> None:
        """See ``AccountStore``."""
        self._tokens = {key: each for key, each in self._tokens.items() if each.family != family}

    async def revoke_all(self, account_id: str) -> None:
        """See ``AccountStore``."""
        self._tokens = {key: each for key, each in self._tokens.items() if each.account_id != account_id}

    async def secret(self, name: str, proposed: str) -> str:
        """See ``AccountStore``."""
        return self._secrets.setdefault(name, proposed)


class MemoryConversationStore:
    """Conversations in dicts."""

    def __init__(self) -> None:
        self._conversations: dict[str, Conversation] = {}
        self._messages: dict[str, dict[str, Message]] = {}
        self._turns: dict[str, TurnRecord] = {}
        self._shared: dict[str, str] = {}
        self._closed: set[str] = set()

    async def begin_turn(self, turn: TurnRecord, message: Message, conversation: Conversation) -> bool:
        """See ``ConversationStore``."""
        known = self._conversations.setdefault(conversation.thread_id, conversation)
        if not known.admits(conversation.owner, conversation.user_id):
            raise ForbiddenThread
        news = {
            "user_id": known.user_id or conversation.user_id,
            "client_id": known.client_id or conversation.client_id,
            "updated_at": conversation.updated_at,
        }
        self._conversations[conversation.thread_id] = sharing_given(known.model_copy(update=news))
        messages = self._messages.setdefault(turn.thread_id, {})
        is_new = turn.turn_id not in self._turns
        if turn.replaces is not None and is_new and message.id in messages:
            ids = list(messages)
            for message_id in ids[ids.index(message.id) :]:
                del messages[message_id]
        self._turns.setdefault(turn.turn_id, turn)
        messages.setdefault(message.id, message)
        return is_new

    async def end_turn(self, turn_id: str, status: TurnStatus, ended_at: int, messages: Sequence[Message]) -> None:
        """See ``ConversationStore``."""
        turn = self._turns.get(turn_id)
        if turn is None or turn.status != "running":
            return
        self._turns[turn_id] = sharing_given(turn.model_copy(update={"status": status, "ended_at": ended_at}))
        stored = self._messages.setdefault(turn.thread_id, {})
        for message in messages:
            stored.setdefault(message.id, message)

    async def close_turns(self, turn_ids: Sequence[str]) -> None:
        """See ``ConversationStore``."""
        self._closed.update(each for each in turn_ids if each in self._turns)

    async def turn(self, turn_id: str) -> TurnRecord | None:
        """See ``ConversationStore``."""
        return self._turns.get(turn_id)

    async def unclosed_turns(self) -> Sequence[TurnRecord]:
        """See ``ConversationStore``."""
        return [turn for turn in self._turns.values() if turn.turn_id not in self._closed]

    async def get(self, thread_id: str) -> Conversation | None:
        """See ``ConversationStore``."""
        return self._conversations.get(thread_id)

    async def messages(self, thread_id: str, *, limit: int | None = None) -> Sequence[Message]:
        """See ``ConversationStore``."""
        found = list(self._messages.get(thread_id, {}).values())
        return found if limit is None else found[max(0, len(found) - limit) :]

    async def open(self, conversation: Conversation) -> None:
        """See ``ConversationStore``."""
        self._conversations.setdefault(conversation.thread_id, conversation)

    async def of_owner(
        self, owner: str, *, limit: int, before: tuple[int, str] | None = None
    ) -> Sequence[Conversation]:
        """See ``ConversationStore``."""
        found = [each for each in self._conversations.values() if each.owner == owner]
        found = [each for each in found if before is None or (each.updated_at, each.thread_id) < before]
        return sorted(found, key=lambda each: (each.updated_at, each.thread_id), reverse=True)[:limit]

    async def rename(self, thread_id: str, title: str, *, at: int) -> Conversation | None:
        """See ``ConversationStore``."""
        known = self._conversations.get(thread_id)
        if known is None:
            return None
        self._conversations[thread_id] = known.model_copy(update={"title": title, "updated_at": at})
        return self._conversations[thread_id]

    async def share(self, thread_id: str, share_hash: str | None) -> None:
        """See ``ConversationStore``."""
        self._shared = {key: each for key, each in self._shared.items() if each != thread_id}
        if share_hash is not None and thread_id in self._conversations:
            self._shared[share_hash] = thread_id

    async def shared(self, share_hash: str) -> Conversation | None:
        """See ``ConversationStore``."""
        return self._conversations.get(self._shared.get(share_hash, ""))

    async def forget(self, thread_id: str) -> None:
        """See ``ConversationStore``."""
        await self.share(thread_id, None)
        self._conversations.pop(thread_id, None)
        self._messages.pop(thread_id, None)
        self._turns = {key: turn for key, turn in self._turns.items() if turn.thread_id != thread_id}

    async def ping(self) -> None:
        """See ``ConversationStore``."""


class MemoryAnswerStore:
    """Answers in a dict, the one that was asked for last at its end."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, SavedAnswer] = OrderedDict()

    async def find(self, question_hash: str) -> SavedAnswer | None:
        """See ``AnswerStore``."""
        return self._answers.get(question_hash)

    async def save(self, answer: SavedAnswer) -> SavedAnswer:
        """See ``AnswerStore``."""
        return self._answers.setdefault(answer.question_hash, answer)

    async def count_hit(self, question_hash: str, *, at: int) -> None:
        """See ``AnswerStore``."""
        answer = self._answers.get(question_hash)
        if answer is not None:
            self._answers[question_hash] = answer.model_copy(update={"hits": answer.hits + 1})
            self._answers.move_to_end(question_hash)

    async def prune(self, *, keep: int) -> None:
        """See ``AnswerStore``."""
        while len(self._answers) > keep:
            self._answers.popitem(last=False)


class MemoryExplanationSessions:
    """Where users are in explanations, in a dict.

    Args:
        now_ms: The clock.
    """

    def __init__(self, *, now_ms: NowMs = now_ms) -> None:
        self._now_ms = now_ms
        self._sessions: OrderedDict[str, tuple[float, ExplanationSession]] = OrderedDict()

    async def get(self, user_id: str) -> ExplanationSession | None:
        """See ``ExplanationSessionStore``."""
        until, session = self._sessions.get(user_id, (0, None))
        return session if until > self._now_ms() else None

    async def put(self, session: ExplanationSession, *, seconds: float) -> None:
        """See ``ExplanationSessionStore``."""
        now = self._now_ms()
        self._sessions[session.user_id] = (now + seconds * 1000, session)
        self._sessions.move_to_end(session.user_id)
        # All live equally long as a rule, so what ran out is at the front.
        while self._sessions and next(iter(self._sessions.values()))[0] <= now:
            self._sessions.popitem(last=False)

    async def forget(self, user_id: str) -> None:
        """See ``ExplanationSessionStore``."""
        self._sessions.pop(user_id, None)


@dataclass(slots=True, eq=False)
class MemoryLease:
    """A ``Lease`` that cannot be lost: its process is the only one."""

    was_abandoned: bool = False
    leaves_open: bool = False
    is_lost: bool = False


class MemoryLanes:
    """``Lanes`` of a single process."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._wanted: Counter[str] = Counter()
        self._left_open: set[str] = set()

    @asynccontextmanager
    async def take(
        self, thread_id: str, *, urge: Command | None = None, on_behalf_of: str = ""
    ) -> AsyncIterator[MemoryLease]:
        """See ``Lanes``."""
        self._wanted[thread_id] += 1
        try:
            async with self._locks.setdefault(thread_id, asyncio.Lock()):
                lease = MemoryLease(was_abandoned=thread_id in self._left_open)
                yield lease
                self._left_open.discard(thread_id)
                if lease.leaves_open:
                    self._left_open.add(thread_id)
        finally:
            self._wanted[thread_id] -= 1
            if not self._wanted[thread_id]:
                del self._wanted[thread_id], self._locks[thread_id]

    @asynccontextmanager
    async def take_free(self, thread_id: str) -> AsyncIterator[MemoryLease | None]:
        """See ``Lanes``."""
        if thread_id in self._locks:
            yield None
            return
        async with self.take(thread_id) as lease:
            yield lease

    def holds(self, thread_id: str) -> bool:
        """See ``Lanes``."""
        return thread_id in self._locks

    async def free(self, thread_ids: Sequence[str]) -> Sequence[str]:
        """See ``Lanes``."""
        return [thread_id for thread_id in thread_ids if thread_id not in self._locks]

    async def command(self, thread_id: str, command: Command) -> bool:
        """See ``Lanes``. There is no other process."""
        return False

    def on_command(self, handler: CommandHandler, *, kind: str = "") -> None:
        """See ``Lanes``. Nothing ever comes."""


class ThreadLog:
    """The newest records of one thread, and a bell that rings when there are more."""

    def __init__(self, position: Position) -> None:
        self.epoch = position.epoch
        self.last_seq = position.seq
        self.records: list[Record] = []
        self.readers = 0
        self.closed = False
        self._bell = Bell()

    @property
    def first_seq(self) -> int:
        """The oldest number still here; one more than the newest where nothing is."""
        return self.records[0].seq if self.records else self.last_seq + 1

    @property
    def position(self) -> Position:
        """The newest position."""
        return Position(self.last_seq, self.epoch)

    def number(self, events: Sequence[ThreadEvent]) -> list[Record]:
        """Return the records that ``events`` would be; nothing is changed."""
        return [Record(self.last_seq + index, event) for index, event in enumerate(events, 1)]

    def publish(self, records: Sequence[Record]) -> None:
        """Let readers have ``records``, which follow the newest."""
        self.records.extend(records)
        self.last_seq += len(records)
        self.ring()

    def ring(self) -> None:
        """Wake every waiting reader."""
        self._bell.ring()

    async def wait(self) -> None:
        """Wait for the next ``publish`` or ``ring``."""
        await self._bell.wait()

    def following(self, seq: int) -> list[Record]:
        """Return the records after ``seq``, which must not be older than what is here."""
        missing = self.last_seq - seq
        if missing >= len(self.records):
            return list(self.records)
        return self.records[len(self.records) - missing :]

    def close(self) -> None:
        """The log of this thread ends: readers are told."""
        self.closed = True
        self.ring()


class MemoryLogReader:
    """A ``LogReader`` over a ``ThreadLog``."""

    def __init__(self, log: ThreadLog, *, after_seq: int | None, epoch: str | None) -> None:
        self._log = log
        self.position = log.position
        self.recovered = reaches_back(log.position, log.first_seq, after_seq=after_seq, epoch=epoch)
        self._seq = log.last_seq if after_seq is None or not self.recovered else after_seq

    async def read(self) -> Sequence[Record]:
        """See ``LogReader``."""
        log = self._log
        while log.last_seq <= self._seq and not log.closed:
            await log.wait()
        if log.closed or log.first_seq > self._seq + 1:
            raise LogTruncated
        records = log.following(self._seq)
        self._seq = records[-1].seq
        return records


def reaches_back(newest: Position, first_seq: int, *, after_seq: int | None, epoch: str | None) -> bool:
    """Return whether a log from ``first_seq`` to ``newest`` holds all that follows ``after_seq``."""
    if epoch is not None and epoch != newest.epoch:
        return False
    return after_seq is None or first_seq - 1 <= after_seq <= newest.seq


class MemoryEventLog:
    """The event log of a process.

    Args:
        new_id: Makes epochs.
        now_ms: The clock by which events grow old.
        max_events: Records kept per thread.
        max_age_ms: How long a thread's records are kept once nothing is added to them.
        max_threads: Threads kept; the one that was quiet the longest goes first.
    """

    def __init__(
        self, *, new_id: NewId, now_ms: NowMs, max_events: int, max_age_ms: float, max_threads: int = 100_000
    ) -> None:
        self._new_id = new_id
        self._now_ms = now_ms
        self._max_events = max_events
        self._max_age_ms = max_age_ms
        self._max_threads = max_threads
        self._threads: OrderedDict[str, ThreadLog] = OrderedDict()
        self._touched: dict[str, int] = {}

    @property
    def backlog(self) -> int:
        """See ``EventLog``: nothing waits here."""
        return 0

    async def position(self, thread_id: str) -> Position:
        """See ``EventLog``."""
        return self._thread(thread_id).position

    async def append(self, thread_id: str, events: Sequence[ThreadEvent], *, durable: bool = False) -> None:
        """See ``EventLog``."""
        if not events:
            return
        log = self._thread(thread_id)
        log.publish(log.number(events))
        del log.records[: max(0, len(log.records) - self._max_events)]

    def begin(self, thread_id: str) -> None:
        """See ``EventLog``; nothing is ever looked up elsewhere."""

    @asynccontextmanager
    async def open(
        self, thread_id: str, *, after_seq: int | None = None, epoch: str | None = None
    ) -> AsyncIterator[MemoryLogReader]:
        """See ``EventLog``."""
        log = self._thread(thread_id)
        log.readers += 1
        try:
            yield MemoryLogReader(log, after_seq=after_seq, epoch=epoch)
        finally:
            log.readers -= 1

    async def is_read(self, thread_id: str) -> bool:
        """See ``EventLog``."""
        log = self._threads.get(thread_id)
        return log is not None and log.readers > 0

    async def forget(self, thread_id: str) -> None:
        """See ``EventLog``."""
        log = self._threads.pop(thread_id, None)
        self._touched.pop(thread_id, None)
        if log is not None:
            log.close()

    def _thread(self, thread_id: str) -> ThreadLog:
        log = self._threads.get(thread_id)
        if log is None:
            log = self._threads[thread_id] = ThreadLog(Position(0, self._new_id()))
            self._drop_old()
        self._threads.move_to_end(thread_id)
        self._touched[thread_id] = self._now_ms()
        return log

    def _drop_old(self) -> None:
        """Forget quiet threads, oldest first, as long as one is over a limit and nobody reads it."""
        oldest_allowed = self._now_ms() - self._max_age_ms
        while len(self._threads) > 1:
            thread_id = next(iter(self._threads))
            is_due = len(self._threads) > self._max_threads or self._touched[thread_id] < oldest_allowed
            if self._threads[thread_id].readers or not is_due:
                return
            del self._threads[thread_id], self._touched[thread_id]
