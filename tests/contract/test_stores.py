"""What every booking store and every conversation store promises."""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import Connection, select
from sqlalchemy.engine.default import DefaultDialect

from app.core.errors import ForbiddenThread, StoreError
from app.models.booking import Booking, Place
from app.models.conversation import Conversation, Message, TurnRecord
from app.models.delivery import cancelled_by_rider, delayed, told_by_fleet
from app.stores.base import BookingStore, ConversationStore
from app.stores.sql.bookings import SqlBookingStore, _row
from app.stores.sql.conversations import SqlConversationStore
from app.stores.sql.database import Database
from app.stores.sql.tables import bookings as booking_table
from app.stores.sql.upsert import insert_new
from tests.contract.conftest import OpenTransaction, transaction

pytestmark = pytest.mark.contract


def booking(number: int = 1, *, key: str | None = None, thread_id: str = "thread") -> Booking:
    return Booking(
        booking_id=f"booking-{number}",
        thread_id=thread_id,
        status="accepted",
        created_at=number,
        pickup=Place(address="Calle 72 #43-25", city="Barranquilla", lat=10.99, lon=-74.8),
        destination=Place(address="Carrera 51B #79-40"),
        payment_method="nequi",
        observation="lleva una mascota; dice «¡rápido!» 🐕",
        vehicle_features=["aire"],
        passenger_name="Ana",
        passengers=2,
        client_id="client",
        user_id="user",
        request_key=key or f"key-{number}",
    )


def turn(number: int = 1, *, thread_id: str = "thread") -> TurnRecord:
    return TurnRecord(
        turn_id=f"turn-{number}", thread_id=thread_id, text="un taxi", status="running", started_at=number
    )


def message(number: int = 1, *, thread_id: str = "thread", content: str = "hola") -> Message:
    return Message(
        id=f"message-{number}",
        thread_id=thread_id,
        turn_id="turn-1",
        role="assistant",
        content=content,
        agent="NAVEGANTE",
        tool_calls=[{"id": "c", "name": "ValidateAddress", "args": {"address": "Calle 1", "n": [1, None, True]}}],
        created_at=number,
    )


def conversation(
    *, thread_id: str = "thread", user_id: str | None = None, client_id: str | None = None, at: int = 1
) -> Conversation:
    return Conversation(thread_id=thread_id, user_id=user_id, client_id=client_id, created_at=at, updated_at=at)


class TestBookings:
    async def test_a_booking_is_read_as_it_was_stored(self, bookings: BookingStore) -> None:
        assert await bookings.create(booking()) == booking()
        assert await bookings.get("booking-1") == booking()

    async def test_an_unknown_booking_is_none(self, bookings: BookingStore) -> None:
        assert await bookings.get("booking-1") is None

    async def test_a_repeated_request_returns_the_booking_of_the_first(self, bookings: BookingStore) -> None:
        await bookings.create(booking(1, key="same"))
        assert await bookings.create(booking(2, key="same")) == booking(1, key="same")
        assert await bookings.get("booking-2") is None

    async def test_a_repeated_request_sees_the_present_status(self, bookings: BookingStore) -> None:
        await bookings.create(booking())
        await bookings.revise("booking-1", partial(told_by_fleet, status="assigned", at=1, now=1))
        assert (await bookings.create(booking())).status == "assigned"

    async def test_a_hundred_requests_at_once_with_one_key_make_one_booking(self, bookings: BookingStore) -> None:
        made = await asyncio.gather(*(bookings.create(booking(number, key="same")) for number in range(100)))
        assert len({each.booking_id for each in made}) == 1
        assert list(await bookings.list("thread")) == [made[0]]

    async def test_bookings_are_listed_by_thread_oldest_first(self, bookings: BookingStore) -> None:
        for number in (3, 1, 2):
            await bookings.create(booking(number))
        await bookings.create(booking(4, thread_id="another"))
        assert [each.booking_id for each in await bookings.list("thread")] == ["booking-3", "booking-1", "booking-2"]
        assert list(await bookings.list("nobody's")) == []

    async def test_a_booking_becomes_what_a_change_makes_of_it(self, bookings: BookingStore) -> None:
        await bookings.create(booking())
        details = {"driver": "Luis", "plate": "ABC123", "eta_minutes": 4}
        changed = await bookings.revise("booking-1", partial(told_by_fleet, status="assigned", at=7, now=8, **details))
        given = {**details, "status": "assigned", "told_at": 7, "revision": 2}
        assert changed == booking().model_copy(update=given)
        assert await bookings.get("booking-1") == changed
        assert list(await bookings.list("thread")) == [changed]

    async def test_a_booking_stays_where_a_change_leaves_it(self, bookings: BookingStore) -> None:
        await bookings.create(booking())
        assert await bookings.revise("booking-1", lambda _: None) is None
        assert await bookings.get("booking-1") == booking()

    async def test_an_unknown_booking_cannot_change(self, bookings: BookingStore) -> None:
        assert await bookings.revise("booking-1", partial(cancelled_by_rider, now=1)) is None

    async def test_of_many_cancellations_at_once_one_happens(self, bookings: BookingStore) -> None:
        await bookings.create(booking())
        changes = await asyncio.gather(
            *(bookings.revise("booking-1", partial(cancelled_by_rider, now=1)) for _ in range(50))
        )
        assert sum(change is not None for change in changes) == 1

    async def test_every_one_of_many_changes_at_once_is_made_of_the_one_before(self, bookings: BookingStore) -> None:
        await bookings.create(booking())
        await asyncio.gather(
            *(
                bookings.revise("booking-1", partial(told_by_fleet, status="assigned", at=1, now=1), event_id=str(n))
                for n in range(5)
            ),
            bookings.revise("booking-1", partial(delayed, now=1)),
        )
        found = await bookings.get("booking-1")
        assert found is not None
        assert found.revision in (2, 3)  # assigned once; delayed too, whichever came first

    async def test_what_an_event_did_is_not_done_twice(self, bookings: BookingStore) -> None:
        await bookings.create(booking())
        change = partial(told_by_fleet, status="assigned", now=9)
        assert await bookings.revise("booking-1", partial(change, at=1), event_id="e", at=9) is not None
        assert await bookings.revise("booking-1", partial(change, at=2), event_id="e", at=9) is None
        assert await bookings.revise("booking-1", partial(change, at=2), event_id="f", at=9) is not None

    async def test_of_an_event_that_comes_many_times_at_once_one_counts(self, bookings: BookingStore) -> None:
        await bookings.create(booking())
        changes = await asyncio.gather(
            *(
                bookings.revise("booking-1", partial(told_by_fleet, status="assigned", at=n, now=9), event_id="e")
                for n in range(1, 30)
            )
        )
        assert sum(change is not None for change in changes) == 1


class TestConversations:
    async def test_a_turn_opens_its_conversation(self, conversations: ConversationStore) -> None:
        assert await conversations.get("thread") is None
        await conversations.begin_turn(turn(), message(), conversation(user_id="ana", client_id="app"))
        assert await conversations.get("thread") == conversation(user_id="ana", client_id="app")
        assert list(await conversations.messages("thread")) == [message()]
        assert list(await conversations.unclosed_turns()) == [turn()]

    async def test_a_later_turn_keeps_when_the_conversation_began(self, conversations: ConversationStore) -> None:
        await conversations.begin_turn(turn(1), message(1), conversation(at=1))
        await conversations.begin_turn(turn(2), message(2), conversation(at=2))
        found = await conversations.get("thread")
        assert found is not None
        assert (found.created_at, found.updated_at) == (1, 2)

    async def test_an_owner_is_set_once_and_never_changed(self, conversations: ConversationStore) -> None:
        owners = []
        for number, user in enumerate([None, "ana", "luis", None]):
            client = None if user is None else f"client of {user}"
            with pytest.raises(ForbiddenThread) if user == "luis" else nullcontext():
                await conversations.begin_turn(
                    turn(number), message(number), conversation(user_id=user, client_id=client)
                )
            found = await conversations.get("thread")
            assert found is not None
            owners.append((found.user_id, found.client_id))
        assert owners == [(None, None), ("ana", "client of ana"), ("ana", "client of ana"), ("ana", "client of ana")]

    async def test_of_many_first_speakers_at_once_one_is_the_owner_and_the_others_are_refused(
        self, conversations: ConversationStore
    ) -> None:
        refused: list[str] = []

        async def begin(number: int) -> None:
            try:
                await conversations.begin_turn(turn(number), message(number), conversation(user_id=f"user-{number}"))
            except ForbiddenThread:
                refused.append(f"user-{number}")

        await asyncio.gather(*map(begin, range(20)))
        first = await conversations.get("thread")
        assert first is not None
        assert sorted([*refused, str(first.user_id)]) == sorted(f"user-{number}" for number in range(20))
        assert [each.turn_id.replace("turn", "user") for each in await conversations.unclosed_turns()] == [
            first.user_id
        ]
        assert len(await conversations.messages("thread")) == 1

    async def test_what_an_account_opened_is_begun_in_by_no_other_one(self, conversations: ConversationStore) -> None:
        own = conversation().model_copy(update={"owner": "ana"})
        await conversations.begin_turn(turn(1), message(1), own)
        for owner in (None, "luis"):
            with pytest.raises(ForbiddenThread):
                await conversations.begin_turn(turn(2), message(2), own.model_copy(update={"owner": owner}))
        await conversations.begin_turn(turn(3), message(3), own.model_copy(update={"updated_at": 5}))
        assert await conversations.get("thread") == own.model_copy(update={"updated_at": 5})
        assert list(await conversations.messages("thread")) == [message(1), message(3)]

    @pytest.mark.parametrize("opened_by", [None, "ana"])
    @pytest.mark.parametrize("named", [None, "rider"])
    async def test_whom_a_conversation_admits_is_its_own_rule_and_who_is_refused_changes_nothing(
        self, conversations: ConversationStore, opened_by: str | None, named: str | None
    ) -> None:
        for number, (owner, user) in enumerate(product([None, "ana", "luis"], [None, "rider", "passenger"])):
            thread = f"thread-{number}"
            opened = conversation(thread_id=thread, user_id=named).model_copy(update={"owner": opened_by})
            first = message(1, thread_id=thread)
            await conversations.begin_turn(turn(2 * number, thread_id=thread), first, opened)
            caller = conversation(thread_id=thread, user_id=user, client_id="app", at=5)
            begun = conversations.begin_turn(
                turn(2 * number + 1, thread_id=thread),
                message(2, thread_id=thread),
                caller.model_copy(update={"owner": owner}),
            )
            if opened.admits(owner, user):
                assert await begun
            else:
                with pytest.raises(ForbiddenThread):
                    await begun
                assert await conversations.get(thread) == opened
                assert await conversations.turn(f"turn-{2 * number + 1}") is None
                assert list(await conversations.messages(thread)) == [first]

    async def test_beginning_a_turn_again_changes_nothing(self, conversations: ConversationStore) -> None:
        assert await conversations.begin_turn(turn(), message(content="first"), conversation())
        assert not await conversations.begin_turn(turn(), message(content="again"), conversation())
        assert list(await conversations.messages("thread")) == [message(content="first")]
        await conversations.end_turn("turn-1", "completed", 9, [])
        assert not await conversations.begin_turn(turn(), message(), conversation())
        assert [each.status for each in await conversations.unclosed_turns()] == ["completed"]

    async def test_a_turn_that_replaces_another_cuts_what_came_after_it_and_only_once(
        self, conversations: ConversationStore
    ) -> None:
        await conversations.begin_turn(turn(1), message(1), conversation())
        await conversations.end_turn("turn-1", "completed", 9, [message(2)])
        await conversations.begin_turn(turn(2), message(3, content="old"), conversation())
        await conversations.end_turn("turn-2", "completed", 9, [message(4)])
        replacing = turn(3).model_copy(update={"replaced_message": "message-3", "replaced_turn": "turn-2"})
        assert await conversations.begin_turn(replacing, message(3, content="new"), conversation())
        await conversations.end_turn("turn-3", "completed", 9, [message(5)])
        assert not await conversations.begin_turn(replacing, message(3, content="again"), conversation())
        kept = [message(1), message(2), message(3, content="new"), message(5)]
        assert list(await conversations.messages("thread")) == kept

    async def test_ending_a_turn_stores_its_messages_after_the_riders(self, conversations: ConversationStore) -> None:
        await conversations.begin_turn(turn(), message(1), conversation())
        await conversations.end_turn("turn-1", "completed", 9, [message(2), message(3)])
        assert list(await conversations.messages("thread")) == [message(1), message(2), message(3)]
        assert [each.status for each in await conversations.unclosed_turns()] == ["completed"]

    async def test_ending_a_turn_again_changes_nothing(self, conversations: ConversationStore) -> None:
        await conversations.begin_turn(turn(), message(1), conversation())
        await asyncio.gather(
            *(conversations.end_turn("turn-1", "completed", 9, [message(2, content="same")]) for _ in range(10))
        )
        await conversations.end_turn("turn-1", "failed", 10, [message(3)])
        assert list(await conversations.messages("thread")) == [message(1), message(2, content="same")]

    async def test_ending_an_unknown_turn_changes_nothing(self, conversations: ConversationStore) -> None:
        await conversations.end_turn("turn-1", "completed", 9, [message()])
        assert list(await conversations.messages("thread")) == []

    async def test_unclosed_turns_are_those_that_were_not_closed_however_they_ended(
        self, conversations: ConversationStore
    ) -> None:
        for number in range(4):
            thread = f"thread-{number}"
            await conversations.begin_turn(
                turn(number, thread_id=thread), message(thread_id=thread), conversation(thread_id=thread)
            )
        await conversations.end_turn("turn-1", "failed", 9, [])
        await conversations.end_turn("turn-2", "interrupted", 9, [])
        await conversations.close_turns(["turn-2"])
        await conversations.close_turns(["turn-3", "never there"])
        assert {each.turn_id: each.status for each in await conversations.unclosed_turns()} == {
            "turn-0": "running",
            "turn-1": "failed",
        }

    @pytest.mark.parametrize(
        ("limit", "expected"), [(None, [1, 2, 3, 4]), (0, []), (1, [4]), (3, [2, 3, 4]), (9, [1, 2, 3, 4])]
    )
    async def test_the_newest_messages_come_oldest_first(
        self, conversations: ConversationStore, limit: int | None, expected: list[int]
    ) -> None:
        await conversations.begin_turn(turn(), message(1), conversation())
        await conversations.end_turn("turn-1", "completed", 9, [message(2), message(3), message(4)])
        found = await conversations.messages("thread", limit=limit)
        assert [each.created_at for each in found] == expected

    async def test_two_threads_may_use_the_same_message_id(self, conversations: ConversationStore) -> None:
        for number, thread in enumerate(["one", "two"]):
            await conversations.begin_turn(
                turn(number, thread_id=thread), message(thread_id=thread), conversation(thread_id=thread)
            )
        assert list(await conversations.messages("two")) == [message(thread_id="two")]

    async def test_forgetting_deletes_everything_of_one_thread(self, conversations: ConversationStore) -> None:
        for number, thread in enumerate(["one", "two"]):
            await conversations.begin_turn(
                turn(number, thread_id=thread), message(thread_id=thread), conversation(thread_id=thread)
            )
        await conversations.forget("one")
        await conversations.forget("never there")
        assert await conversations.get("one") is None
        assert list(await conversations.messages("one")) == []
        assert await conversations.get("two") == conversation(thread_id="two")
        assert [each.thread_id for each in await conversations.unclosed_turns()] == ["two"]

    async def test_a_turn_that_ends_after_its_thread_was_forgotten_leaves_nothing(
        self, conversations: ConversationStore
    ) -> None:
        await conversations.begin_turn(turn(), message(1), conversation())
        await conversations.forget("thread")
        await conversations.end_turn("turn-1", "completed", 9, [message(2)])
        assert list(await conversations.messages("thread")) == []

    async def test_a_store_that_works_answers_a_ping(self, conversations: ConversationStore) -> None:
        await conversations.ping()


class TestDatabase:
    """What the stores on a file promise beyond the interface."""

    async def test_what_was_stored_is_there_after_a_restart(self, tmp_path: Path) -> None:
        url = f"sqlite+aiosqlite:///{tmp_path / 'again.db'}"
        async with Database(url) as database:
            await SqlBookingStore(database).create(booking())
            await SqlConversationStore(database).begin_turn(turn(), message(), conversation(user_id="ana"))
        async with Database(url) as database:
            assert await SqlBookingStore(database).get("booking-1") == booking()
            store = SqlConversationStore(database)
            assert list(await store.unclosed_turns()) == [turn()]
            assert list(await store.messages("thread")) == [message()]

    async def test_a_missing_folder_is_a_store_error(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError) as raised:
            async with Database(f"sqlite+aiosqlite:///{tmp_path / 'missing' / 'a.db'}"):
                pass
        assert raised.value.__cause__ is not None

    @pytest.mark.parametrize(
        "url",
        ["sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:", "sqlite+aiosqlite:///file::memory:?uri=true"],
    )
    def test_a_database_in_memory_is_refused(self, url: str) -> None:
        with pytest.raises(ValueError, match="memory"):
            Database(url)

    async def test_an_error_rolls_the_transaction_back_and_the_next_one_works(self, database: Database) -> None:
        row = {"booking_id": "b", "request_key": "k", "thread_id": "t", "status": "accepted", "document": "{}"}

        def fail(connection: Connection) -> None:
            insert_new(connection, booking_table, [row], keys=("request_key",))
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await database.write(fail)
        with pytest.raises(StoreError):
            await database.execute(booking_table.insert().values(**row | {"status": None}))
        assert await database.rows(select(booking_table)) == []
        await SqlBookingStore(database).create(booking())

    async def test_writes_that_wait_for_another_one_share_a_transaction(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commits = 0
        commit = DefaultDialect.do_commit

        def count(dialect: DefaultDialect, connection: Any) -> None:
            nonlocal commits
            commits += 1
            commit(dialect, connection)

        def fail(connection: Connection) -> None:
            connection.execute(booking_table.delete())
            raise ZeroDivisionError

        async with Database(f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}") as database:
            store = SqlBookingStore(database)
            monkeypatch.setattr(DefaultDialect, "do_commit", count)
            async with anyio.create_task_group() as tasks, transaction(database, booking_table.delete()):
                for number in range(20):
                    tasks.start_soon(store.create, booking(number))
                tasks.start_soon(_raises, ZeroDivisionError, database, fail)
                await anyio.wait_all_tasks_blocked()
            assert len(await store.list("thread")) == 20
            assert commits == 2

    async def test_where_the_whole_transaction_is_taken_back_nobody_who_shared_it_was_stored(
        self, tmp_path: Path
    ) -> None:
        async with Database(f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}") as database:
            store = SqlBookingStore(database)

            def take_back(connection: Connection) -> None:
                # As SQLite itself does where the disk is full.
                connection.connection.driver_connection.execute("ROLLBACK")  # type: ignore[union-attr]
                raise OSError("the disk is full")

            async with anyio.create_task_group() as tasks, transaction(database, booking_table.delete()):
                tasks.start_soon(_raises, StoreError, database, partial(_create, booking(1)))
                tasks.start_soon(_raises, StoreError, database, take_back)
                tasks.start_soon(_raises, StoreError, database, partial(_create, booking(2)))
                await anyio.wait_all_tasks_blocked()
            assert list(await store.list("thread")) == []
            await store.create(booking())

    async def test_a_write_whose_time_is_up_before_it_begins_never_happens(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with Database(f"sqlite+aiosqlite:///{tmp_path / 'late.db'}") as database:
            store = SqlBookingStore(database)
            async with transaction(database, booking_table.delete()):
                monkeypatch.setattr(database._driver, "_timeout", 0.01)
                with pytest.raises(StoreError):
                    await store.create(booking())
                monkeypatch.undo()
            await store.create(booking(2))
            assert list(await store.list("thread")) == [booking(2)]

    async def test_a_read_does_not_wait_for_a_writer(self, database: Database) -> None:
        store = SqlBookingStore(database)
        async with transaction(database, booking_table.delete()):
            assert await store.get("booking-1") is None

    async def test_a_transaction_that_hangs_is_a_store_error_and_the_next_one_works(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        late = OpenTransaction(booking_table.delete())
        with monkeypatch.context() as patch:
            patch.setattr(database._driver, "_timeout", 0.01)
            with pytest.raises(StoreError):
                await database.write(late.work)
        late.let_go.set()
        assert await SqlBookingStore(database).create(booking()) == booking()

    async def test_a_cancelled_write_is_there_wholly_or_not_at_all(self, database: Database) -> None:
        store = SqlConversationStore(database)
        for number in range(30):
            thread = f"thread-{number}"
            task = asyncio.create_task(
                store.begin_turn(
                    turn(number, thread_id=thread), message(thread_id=thread), conversation(thread_id=thread)
                )
            )
            for _ in range(15 * number):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            found = await store.get(thread) is not None
            assert len(await store.messages(thread)) == int(found)
            assert (f"turn-{number}" in {each.turn_id for each in await store.unclosed_turns()}) == found

    async def test_a_cancelled_caller_leaves_the_database_to_the_next(self, database: Database) -> None:
        store = SqlBookingStore(database)
        for number in range(30):
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(store.create, booking(number))
                    for _ in range(15 * number):
                        await asyncio.sleep(0)
                    scope.cancel()
        await store.create(booking(99))
        assert await store.get("booking-99") == booking(99)


def _create(made: Booking, connection: Connection) -> None:
    insert_new(connection, booking_table, [_row(made)], keys=("request_key",))


async def _raises(kind: type[Exception], database: Database, work: Callable[[Connection], None]) -> None:
    with pytest.raises(kind):
        await database.write(work)
