"""What every event log promises, and what the one on a file promises beyond that."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import groupby
from tempfile import TemporaryDirectory

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from app.core.errors import LogTruncated, StoreError
from app.models.events import AgentChunk, Position, Record, ThreadEvent, ToolCall, ToolResult, TurnEnd
from app.stores.base import EventLog, LogReader
from app.stores.sql.database import Database
from app.stores.sql.event_log import SqlEventLog
from app.stores.sql.limits import LogLimits
from app.stores.sql.tables import events as event_table
from app.stores.sql.tables import threads as thread_table
from tests.contract.conftest import DAY_MS, NOW, SMALL, Commits, Limits, Logs, MemoryLogs, SqlLogs

pytestmark = pytest.mark.contract

T = "thread"


def chunk(text: str = "hola", *, ts: int = NOW) -> AgentChunk:
    return AgentChunk(ts=ts, thread_id=T, turn_id="turn", text=text, agent="NAVEGANTE")


def chunks(*texts: object) -> list[AgentChunk]:
    return [chunk(str(text)) for text in texts]


def end(text: str = "hola", *, turn_id: str = "turn") -> TurnEnd:
    return TurnEnd(ts=NOW, thread_id=T, turn_id=turn_id, status="completed", text=text)


def numbers(records: Sequence[Record]) -> list[int]:
    return [record.seq for record in records]


def texts(records: Sequence[Record]) -> list[str]:
    return [record.event.text for record in records if isinstance(record.event, AgentChunk | TurnEnd)]


async def read_until(reader: LogReader, seq: int) -> list[Record]:
    """Read up to and including ``seq``."""
    records: list[Record] = []
    while not records or records[-1].seq < seq:
        records.extend(await reader.read())
    return records


async def append(
    log: EventLog, events: Sequence[ThreadEvent], *, durable: bool = False, thread_id: str = T
) -> list[int]:
    """Append events and return the numbers under which a reader has them."""
    async with log.open(thread_id) as reader:
        await log.append(thread_id, events, durable=durable)
        return numbers(await read_until(reader, reader.position.seq + len(events)))


async def read_after(log: EventLog, after_seq: int, *, epoch: str | None = None) -> list[Record]:
    """Return what the log has after a position that it must reach back to."""
    async with log.open(T, after_seq=after_seq, epoch=epoch) as reader:
        assert reader.recovered
        return await read_until(reader, reader.position.seq) if reader.position.seq > after_seq else []


class TestEveryLog:
    @pytest.fixture
    async def log(self, logs: Logs) -> AsyncIterator[EventLog]:
        async with logs.open() as log:
            yield log

    async def test_a_log_begins_at_zero_and_keeps_its_epoch(self, log: EventLog) -> None:
        position = await log.position(T)
        assert position.seq == 0
        await log.append(T, chunks(1, 2))
        await log.append(T, chunks(3), durable=True)
        assert await log.position(T) == Position(3, position.epoch)

    async def test_a_thread_whose_id_is_new_is_kept_like_any_other(self, logs: Logs) -> None:
        async with logs.open() as log:
            log.begin(T)
            assert await append(log, chunks(1, 2)) == [1, 2]
            log.begin(T)  # what is there stays as it is
            assert await append(log, [end("3")], durable=True) == [3]
            before = await log.position(T)
            assert texts(await read_after(log, 0, epoch=before.epoch)) == ["1", "2", "3"]

    async def test_appending_nothing_changes_nothing(self, log: EventLog) -> None:
        await log.append(T, [])
        await log.append(T, [], durable=True)
        assert (await log.position(T)).seq == 0

    async def test_nothing_waits_once_it_is_stored(self, log: EventLog) -> None:
        await log.append(T, chunks(1, 2, 3))
        await log.append(T, chunks(4), durable=True)
        assert log.backlog == 0

    async def test_threads_are_numbered_apart(self, log: EventLog) -> None:
        await log.append(T, chunks(1, 2))
        assert await append(log, chunks(1), thread_id="another") == [1]

    @pytest.mark.parametrize("durable", [False, True])
    async def test_a_reader_has_an_event_once_the_append_returns(self, log: EventLog, durable: bool) -> None:
        async with log.open(T) as reader:
            await log.append(T, chunks(1, 2), durable=durable)
            assert texts(await read_until(reader, 2)) == ["1", "2"]

    async def test_events_come_back_as_they_were(self, logs: Logs, log: EventLog) -> None:
        args = {"address": "Cra 51B #79-40 «¡ñ!» 🚕", "n": [1, 2.5, None, {"deep": True}]}
        events: list[ThreadEvent] = [
            ToolCall(
                ts=NOW + 1,
                thread_id=T,
                turn_id="t",
                toolCallId="c",
                name="ValidateAddress",
                args=args,
                agent="OPERADOR",
            ),
            ToolResult(ts=NOW + 2, thread_id=T, turn_id="t", toolCallId="c", name="ValidateAddress", result={"ok": 1}),
            ToolResult(ts=NOW + 3, thread_id=T, turn_id="t", toolCallId="c", name="ValidateAddress", result="a\x00b\n"),
            end(),
            *chunks(*range(10)),
        ]
        await log.append(T, events)
        if isinstance(logs, SqlLogs):
            await log.append(T, chunks("pushes the rest out of memory"), durable=True)
        found = await read_after(log, 0)
        assert [record.event for record in found][: len(events)] == events
        assert [type(record.event) for record in found][: len(events)] == [type(event) for event in events]

    async def test_concurrent_appends_are_numbered_without_a_gap_and_stay_whole(self, log: EventLog) -> None:
        sizes = [1, 3, 2, 5]

        async def write(writer: int) -> None:
            for batch, size in enumerate(sizes):
                events = chunks(*[f"{writer}.{batch}"] * size)
                await log.append(T, events, durable=(writer + batch) % 3 == 0)

        async with log.open(T, after_seq=0) as live:
            await asyncio.gather(*(write(writer) for writer in range(20)))
            seen = await read_until(live, 20 * 11)
        assert numbers(seen) == list(range(1, 20 * 11 + 1))
        batches = [(text, len(list(same))) for text, same in groupby(texts(seen))]
        assert len(batches) == 20 * len(sizes)
        for writer in range(20):
            mine = [(text, size) for text, size in batches if text.startswith(f"{writer}.")]
            assert mine == [(f"{writer}.{batch}", size) for batch, size in enumerate(sizes)]

    async def test_a_replay_from_every_position_is_what_a_live_reader_saw(self, log: EventLog) -> None:
        async with log.open(T, after_seq=0) as live:
            for number in range(12):
                await log.append(T, chunks(f"{number}a", f"{number}b"), durable=number % 4 == 3)
            seen = await read_until(live, 24)
        epoch = (await log.position(T)).epoch
        for after_seq in range(25):
            assert await read_after(log, after_seq, epoch=epoch) == seen[after_seq:]

    async def test_a_reader_without_a_position_begins_at_the_newest(self, log: EventLog) -> None:
        await log.append(T, chunks(1, 2))
        async with log.open(T) as reader:
            assert reader.recovered
            assert reader.position == await log.position(T)
            await log.append(T, chunks(3))
            assert texts(await reader.read()) == ["3"]

    async def test_a_reader_waits_for_the_next_event(self, log: EventLog) -> None:
        async with log.open(T) as reader:
            waiting = asyncio.create_task(reader.read())
            await asyncio.sleep(0)
            assert not waiting.done()
            await log.append(T, chunks(1))
            assert texts(await waiting) == ["1"]

    async def test_a_read_that_was_cancelled_loses_nothing(self, log: EventLog) -> None:
        async with log.open(T) as reader:
            waiting = asyncio.create_task(reader.read())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            await log.append(T, chunks(1, 2))
            assert texts(await read_until(reader, 2)) == ["1", "2"]

    @pytest.mark.parametrize(
        ("after_seq", "other_epoch"), [(1, True), (0, True), (3, False), (10**30, False), (-1, False)]
    )
    async def test_a_position_that_is_not_the_logs_is_not_recovered(
        self, log: EventLog, after_seq: int, other_epoch: bool
    ) -> None:
        await log.append(T, chunks(1, 2))
        epoch = "another" if other_epoch else (await log.position(T)).epoch
        async with log.open(T, after_seq=after_seq, epoch=epoch) as reader:
            assert not reader.recovered
            await log.append(T, chunks(3))
            assert texts(await reader.read()) == ["3"]

    async def test_a_position_is_recovered_with_its_epoch_and_without(self, log: EventLog) -> None:
        await log.append(T, chunks(1, 2))
        for epoch in ((await log.position(T)).epoch, None):
            assert texts(await read_after(log, 1, epoch=epoch)) == ["2"]
            assert await read_after(log, 2, epoch=epoch) == []

    async def test_forgetting_begins_anew(self, log: EventLog) -> None:
        await log.append(T, chunks(1, 2), durable=True)
        before = await log.position(T)
        await log.forget(T)
        after = await log.position(T)
        assert (after.seq, after.epoch != before.epoch) == (0, True)
        assert await append(log, chunks("new"), durable=True) == [1]
        assert texts(await read_after(log, 0)) == ["new"]

    async def test_forgetting_wakes_waiting_readers(self, log: EventLog) -> None:
        await log.append(T, chunks(1))
        async with log.open(T) as waits, log.open(T, after_seq=0) as is_behind:
            waiting = asyncio.create_task(waits.read())
            await asyncio.sleep(0)
            await log.forget(T)
            with pytest.raises(LogTruncated):
                await waiting
            with pytest.raises(LogTruncated):
                await is_behind.read()

    async def test_forgetting_what_was_never_there_is_fine(self, log: EventLog) -> None:
        await log.forget("never there")

    async def test_forgetting_leaves_other_threads_alone(self, log: EventLog) -> None:
        await log.append(T, chunks(1))
        await log.append("another", chunks(1))
        await log.forget("another")
        assert texts(await read_after(log, 0)) == ["1"]

    async def test_appends_while_a_thread_is_forgotten_belong_to_one_life_or_the_other(self, log: EventLog) -> None:
        for durable in (False, True):
            await log.append(T, chunks(1, 2))
            await asyncio.gather(log.forget(T), log.append(T, chunks("late"), durable=durable))
            assert texts(await read_after(log, 0)) in (["late"], [])
            await log.forget(T)


class TestRetention:
    async def test_a_log_keeps_only_its_newest_events(self, logs: Logs) -> None:
        async with logs.open(Limits(max_events=5)) as log:
            await log.append(T, chunks(*range(1, 11)))
            await logs.tidy(log)
            async with log.open(T, after_seq=4) as reader:
                assert not reader.recovered
            assert numbers(await read_after(log, 5)) == [6, 7, 8, 9, 10]
            assert (await log.position(T)).seq == 10

    async def test_a_reader_that_fell_behind_is_told(self, logs: Logs) -> None:
        async with logs.open(Limits(max_events=5)) as log, log.open(T) as reader:
            await log.append(T, chunks(*range(10)))
            await logs.tidy(log)
            with pytest.raises(LogTruncated):
                await reader.read()

    async def test_old_events_go_and_a_position_before_them_is_not_recovered(self, logs: Logs) -> None:
        async with logs.open(Limits(max_age_ms=DAY_MS)) as log:
            await log.append(T, [chunk("old", ts=logs.clock())])
            before = await log.position(T)
            logs.clock.ms += 2 * DAY_MS
            await logs.tidy(log)
            async with log.open(T, after_seq=0, epoch=before.epoch) as reader:
                assert not reader.recovered
                await log.append(T, [chunk("new", ts=logs.clock())])
                assert texts(await reader.read()) == ["new"]

    async def test_what_is_not_yet_old_stays(self, logs: Logs) -> None:
        async with logs.open(Limits(max_age_ms=DAY_MS)) as log:
            await log.append(T, [chunk("1", ts=logs.clock())])
            logs.clock.ms += DAY_MS // 2
            await logs.tidy(log)
            assert texts(await read_after(log, 0)) == ["1"]


class TestOnAFile:
    async def test_a_restart_keeps_epoch_events_and_numbers(self, sql_logs: SqlLogs) -> None:
        async with sql_logs.open() as log:
            await log.append(T, chunks(1, 2))
            await log.append(T, [end("3")], durable=True)
            await log.append(T, chunks(4))
            before, seen = await log.position(T), await read_after(log, 0)
        async with sql_logs.open() as log:
            assert await log.position(T) == before
            assert await read_after(log, 0, epoch=before.epoch) == seen
            assert await append(log, chunks(5)) == [5]
            assert texts(await read_after(log, 3, epoch=before.epoch)) == ["4", "5"]

    async def test_a_restart_keeps_retention_and_forgetting(self, sql_logs: SqlLogs) -> None:
        async with sql_logs.open(Limits(max_events=2)) as log:
            await log.append(T, chunks(1, 2, 3, 4))
            await sql_logs.tidy(log)
            await log.append("forgotten", chunks(1, 2))
            await log.forget("forgotten")
        async with sql_logs.open() as log:
            async with log.open(T, after_seq=1) as reader:
                assert not reader.recovered
            assert numbers(await read_after(log, 2)) == [3, 4]
            assert (await log.position("forgotten")).seq == 0

    async def test_after_a_crash_what_was_durable_is_there(self, sql_logs: SqlLogs) -> None:
        async with crashing(sql_logs) as log:
            await log.append(T, chunks(1, 2))
            await log.append(T, chunks(3), durable=True)
            seen = await read_after(log, 0)
            epoch = (await log.position(T)).epoch
        async with sql_logs.open() as log:
            assert await read_after(log, 0, epoch=epoch) == seen

    async def test_after_a_crash_a_number_that_was_lost_is_not_trusted_when_it_is_given_out_again(
        self, sql_logs: SqlLogs
    ) -> None:
        async with crashing(sql_logs) as log:
            await log.append(T, chunks(1, 2), durable=True)
            await log.append(T, chunks("seen, but never stored"))
            lost = await log.position(T)
        async with sql_logs.open() as log:
            assert (await log.position(T)).seq == 2
            await log.append(T, chunks("3", "4"), durable=True)
            async with log.open(T, after_seq=lost.seq, epoch=lost.epoch) as reader:
                assert not reader.recovered
            assert texts(await read_after(log, 1, epoch=lost.epoch)) == ["2", "3", "4"]

    async def test_a_new_thread_that_was_lost_in_a_crash_has_a_new_epoch(self, sql_logs: SqlLogs) -> None:
        async with crashing(sql_logs) as log:
            await log.append(T, chunks(1))
            lost = await log.position(T)
        async with sql_logs.open() as log:
            after = await log.position(T)
            assert (after.seq, after.epoch != lost.epoch) == (0, True)

    async def test_the_epoch_after_a_crash_survives_a_restart(self, sql_logs: SqlLogs) -> None:
        async with crashing(sql_logs) as log:
            await log.append(T, chunks(1), durable=True)
            old = await log.position(T)
        async with sql_logs.open() as log:
            new = await log.position(T)
        async with sql_logs.open() as log:
            assert await log.position(T) == new
            assert await read_after(log, 0, epoch=old.epoch) == await read_after(log, 0, epoch=new.epoch)

    async def test_a_durable_append_that_fails_was_not_made_and_can_be_repeated(
        self, sql_logs: SqlLogs, commits: Commits
    ) -> None:
        async with sql_logs.open() as log, log.open(T) as reader:
            await log.append(T, chunks(1))
            before = await log.position(T)
            for failure in ("before", "after"):
                commits.fail = failure
                with pytest.raises(StoreError):
                    await log.append(T, [chunk("not made"), chunk("not made"), end("not made")], durable=True)
                commits.fail = ""
                assert await log.position(T) == before
            await log.append(T, [end("2")], durable=True)
            assert texts(await read_until(reader, 2)) == ["1", "2"]
        async with sql_logs.open() as log:
            assert await log.position(T) == Position(2, before.epoch)
            assert texts(await read_after(log, 0)) == ["1", "2"]

    @pytest.mark.parametrize("failure", ["before", "after"])
    async def test_after_a_durable_append_that_failed_the_file_agrees_with_what_readers_saw(
        self, sql_logs: SqlLogs, commits: Commits, failure: str
    ) -> None:
        async with sql_logs.open() as log:
            await log.append(T, chunks(1), durable=True)
            before = await log.position(T)
            commits.fail = failure
            with pytest.raises(StoreError):
                await log.append(T, chunks("not made", "not made"), durable=True)
            commits.fail = ""
        async with Database(sql_logs.url) as database:
            assert [row["seq"] for row in await database.rows(select(event_table.c.seq))] == [1]
        async with sql_logs.open() as log:
            assert await log.position(T) == before
            assert await append(log, chunks(2)) == [2]
            assert texts(await read_after(log, 0)) == ["1", "2"]

    async def test_a_thread_that_was_said_to_be_new_is_there_after_a_restart(self, sql_logs: SqlLogs) -> None:
        async with sql_logs.open() as log:
            log.begin(T)
            await append(log, chunks(1))
            before = await log.position(T)
        async with sql_logs.open() as log:
            assert await log.position(T) == before
            assert texts(await read_after(log, 0, epoch=before.epoch)) == ["1"]

    @pytest.mark.parametrize("failure", ["before", "after"])
    async def test_forgetting_that_fails_can_be_repeated(
        self, sql_logs: SqlLogs, commits: Commits, failure: str
    ) -> None:
        async with sql_logs.open() as log:
            await log.append(T, chunks(1, 2), durable=True)
            before = await log.position(T)
            commits.fail = failure
            with pytest.raises(StoreError):
                await log.forget(T)
            commits.fail = ""
            assert await log.position(T) == before
            assert await append(log, chunks(3)) == [3]
            await log.forget(T)
            assert (await log.position(T)).seq == 0

    async def test_rows_stay_queued_while_the_database_fails(self, sql_logs: SqlLogs, commits: Commits) -> None:
        async with sql_logs.open() as log:
            await log.append(T, chunks(0), durable=True)
            commits.fail = "before"
            await log.append(T, chunks(1, 2))
            await commits.failed.wait()
            with pytest.raises(StoreError):
                await log.flush()
            await log.append(T, chunks(3))
            commits.fail = ""
        async with sql_logs.open() as log:
            assert texts(await read_after(log, 0)) == ["0", "1", "2", "3"]

    async def test_rows_are_written_by_themselves_once_the_database_works_again(
        self, sql_logs: SqlLogs, commits: Commits
    ) -> None:
        async with sql_logs.open() as log:
            await log.position(T)
            commits.fail = "before"
            await log.append(T, chunks(1, 2))
            await commits.failed.wait()
            commits.fail = ""
            while log._writer.backlog:
                await anyio.lowlevel.checkpoint()

    async def test_what_is_forgotten_is_no_longer_owed(self, sql_logs: SqlLogs) -> None:
        sql_logs.bounds = LogLimits(write_every=3600)
        async with sql_logs.open() as log:
            await log.append(T, chunks(1, 2, 3))
            await log.forget(T)
            assert log._writer.backlog == 0
            assert log._writer.is_done

    async def test_what_is_forgotten_while_it_waits_to_be_written_stays_forgotten(self, sql_logs: SqlLogs) -> None:
        sql_logs.bounds = LogLimits(write_every=3600)
        async with sql_logs.open() as log:
            await log.append(T, chunks(1), durable=True)
            await log.append(T, chunks(2))
            await asyncio.gather(log.forget(T), log.flush())
        async with Database(sql_logs.url) as database:
            assert not await database.rows(select(thread_table.c.thread_id))

    async def test_a_full_backlog_refuses_all_but_the_end_of_a_turn(self, sql_logs: SqlLogs, commits: Commits) -> None:
        sql_logs.bounds = LogLimits(backlog=3)
        async with sql_logs.open() as log:
            await log.position(T)
            commits.fail = "before"
            await log.append(T, chunks(1, 2, 3))
            assert log.backlog == 3
            with pytest.raises(StoreError):
                await log.append(T, chunks("too much"))
            assert await append(log, [end("4")]) == [4]
            commits.fail = ""
            await log.flush()
            assert await append(log, chunks(5)) == [5]

    async def test_what_cannot_be_read_is_a_store_error_and_works_later(
        self, sql_logs: SqlLogs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with sql_logs.open() as log:
            await log.append(T, chunks(1))

        def refuse(*_: object, **__: object) -> None:
            raise OSError("the disk is gone")

        async with sql_logs.open() as log:
            with monkeypatch.context() as patch:
                patch.setattr(Connection, "execute", refuse)
                for attempt in (log.position(T), log.append(T, chunks(2)), log.append(T, chunks(2), durable=True)):
                    with pytest.raises(StoreError):
                        await attempt
            await log.append(T, chunks(2))
            assert texts(await read_after(log, 0)) == ["1", "2"]

    async def test_an_event_that_cannot_be_stored_is_refused_at_once(self, sql_logs: SqlLogs) -> None:
        bad = ToolCall(ts=1, thread_id=T, turn_id="t", toolCallId="c", name="n", args={"a": "\ud800"}, agent="OPERADOR")
        async with sql_logs.open() as log:
            for durable in (False, True):
                with pytest.raises(StoreError):
                    await log.append(T, [bad], durable=durable)
            assert await append(log, chunks(1), durable=True) == [1]

    async def test_a_durable_append_that_is_cancelled_is_published_if_and_only_if_it_is_numbered(
        self, sql_logs: SqlLogs
    ) -> None:
        async with sql_logs.open() as log, log.open(T, after_seq=0) as reader:
            for steps in range(40):
                before = (await log.position(T)).seq
                with anyio.CancelScope() as scope:
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(_append_durably, log, f"scope {steps}")
                        await _yield(steps * 15)
                        scope.cancel()
                task = asyncio.create_task(_append_durably(log, f"task {steps}"))
                await _yield(steps * 15)
                task.cancel()
                await asyncio.wait([task])
                after = (await log.position(T)).seq
                assert after - before <= 2
                if after > before:
                    assert numbers(await read_until(reader, after)) == list(range(before + 1, after + 1))
            newest = await log.position(T)
            seen = await read_after(log, 0)
        async with sql_logs.open() as log:
            assert await log.position(T) == newest
            assert await read_after(log, 0) == seen

    async def test_a_slow_reader_reads_from_the_file_what_left_memory(self, sql_logs: SqlLogs) -> None:
        sql_logs.bounds = SMALL
        async with sql_logs.open() as log, log.open(T) as reader:
            for number in range(1200):
                await log.append(T, chunks(number))
            await log.flush()
            assert texts(await read_until(reader, 1200)) == [str(number) for number in range(1200)]

    async def test_what_is_not_written_stays_in_memory_however_much_it_is(self, sql_logs: SqlLogs) -> None:
        sql_logs.bounds = LogLimits(tail_events=3, batch=5, write_every=3600)
        async with sql_logs.open() as log:
            await log.append(T, chunks(*range(20)))
            await log._writer._write_batch()
            assert log._writer.backlog == 15
            assert texts(await read_after(log, 0)) == [str(number) for number in range(20)]

    async def test_a_thread_that_left_memory_goes_on_where_it_was(self, sql_logs: SqlLogs) -> None:
        sql_logs.bounds = SMALL
        async with sql_logs.open() as log:
            await log.append(T, chunks(1))
            before = await log.position(T)
            await log.flush()
            sql_logs.clock.ms += 1
            while T in log._tails:
                await anyio.lowlevel.checkpoint()
            assert await log.position(T) == before
            assert await append(log, chunks(2)) == [2]

    async def test_a_closed_log_refuses(self, sql_logs: SqlLogs) -> None:
        async with sql_logs.open() as log:
            await log.append(T, chunks(1))
        with pytest.raises(StoreError):
            await log.append(T, chunks(2))
        with pytest.raises(StoreError):
            await log.position(T)

    async def test_a_log_whose_opener_is_cancelled_still_writes_what_is_queued(self, sql_logs: SqlLogs) -> None:
        with anyio.CancelScope() as scope:
            async with sql_logs.open() as log:
                await log.append(T, chunks(1, 2))
                epoch = (await log.position(T)).epoch
                scope.cancel()
                await anyio.sleep_forever()
        async with sql_logs.open() as log:
            assert texts(await read_after(log, 0, epoch=epoch)) == ["1", "2"]
            assert (await log.position(T)).epoch == epoch  # it was closed in order


@asynccontextmanager
async def crashing(logs: SqlLogs) -> AsyncIterator[EventLog]:
    """Open a log whose process dies at the end of the block, before its next write in the background."""
    logs.bounds = LogLimits(write_every=3600, prune_every=3600)
    async with Database(logs.url, auto_migrate=True) as database:
        log = await logs.on(database).__aenter__()
        yield log
        for task in log._tasks:
            task.cancel()
        await asyncio.wait(log._tasks)
    logs.bounds = LogLimits()


async def _append_durably(log: EventLog, text: str) -> None:
    await log.append(T, chunks(text), durable=True)


async def _yield(steps: int) -> None:
    for _ in range(steps):
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Append:
    """A step of a writer: let others go first, then append ``size`` events."""

    pause: int
    size: int
    durable: bool


@dataclass(frozen=True)
class Read:
    """A reader: when it comes, where it begins (as a share of what there is), how slow it is."""

    delay: int
    share: float
    dawdle: int


steps = st.integers(0, 40)
writers = st.lists(st.lists(st.builds(Append, steps, st.integers(1, 5), st.booleans()), max_size=12), max_size=3)
readers = st.lists(st.builds(Read, steps, st.floats(0, 1), st.integers(0, 5)), min_size=1, max_size=5)


@pytest.mark.parametrize("kind", ["memory", "sqlite", "sqlite-small", "postgres", "postgres-small"])
@settings(max_examples=40, deadline=None)
@given(plans=writers, readers=readers)
def test_readers_see_exactly_what_follows_their_position_whatever_the_schedule(
    request: pytest.FixtureRequest, kind: str, plans: list[list[Append]], readers: list[Read]
) -> None:
    async def run(logs: Logs) -> None:
        async with logs.open() as log:
            await log.forget(T)
            await _follow(log, plans, readers)

    bounds = SMALL if kind.endswith("-small") else LogLimits(write_every=0)
    if kind == "memory":
        asyncio.run(run(MemoryLogs()))
    elif kind.startswith("sqlite"):
        with TemporaryDirectory() as folder:
            asyncio.run(run(SqlLogs(f"sqlite+aiosqlite:///{folder}/log.db", bounds)))
    else:
        asyncio.run(run(SqlLogs(request.getfixturevalue("postgres_url"), bounds)))


async def _follow(log: EventLog, plans: list[list[Append]], readers: list[Read]) -> None:
    total = sum(step.size for plan in plans for step in plan)

    async def write(number: int, plan: list[Append]) -> None:
        for step_number, step in enumerate(plan):
            await _yield(step.pause)
            await log.append(T, chunks(*[f"{number}.{step_number}"] * step.size), durable=step.durable)

    async def read(reading: Read) -> tuple[int, list[Record]]:
        await _yield(reading.delay)
        after_seq = int(reading.share * (await log.position(T)).seq)
        seen: list[Record] = []
        async with log.open(T, after_seq=after_seq) as reader:
            assert reader.recovered
            while after_seq + len(seen) < total:
                seen.extend(await reader.read())
                await _yield(reading.dawdle)
        return after_seq, seen

    writing = asyncio.gather(*(write(number, plan) for number, plan in enumerate(plans)))
    _, *seen = await asyncio.gather(writing, *map(read, readers))
    whole = await read_after(log, 0)
    assert numbers(whole) == list(range(1, total + 1))
    for number, plan in enumerate(plans):
        mine = [text for text in texts(whole) if text.startswith(f"{number}.")]
        assert mine == [f"{number}.{index}" for index, step in enumerate(plan) for _ in range(step.size)]
    for after_seq, records in seen:
        assert records == whole[after_seq:]


@dataclass(frozen=True)
class Change:
    """A step on one of several threads."""

    pause: int
    thread: int
    what: str


changes = st.lists(
    st.builds(Change, steps, st.integers(0, 2), st.sampled_from(["now", "durable", "forget", "flush", "prune"])),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(plan=changes, bounds=st.sampled_from([SMALL, LogLimits(write_every=0), LogLimits(write_every=3600)]))
def test_what_is_stored_agrees_with_what_was_told_whatever_happens_to_other_threads(
    plan: list[Change], bounds: LogLimits
) -> None:
    async def run(logs: SqlLogs) -> None:
        told: dict[int, list[str]] = {number: [] for number in range(3)}
        # What happens to one thread comes in order; threads do not wait for each other.
        order = [anyio.Lock() for _ in told]

        async def play(log: SqlEventLog, number: int, step: Change) -> None:
            thread, text = str(step.thread), str(number)
            event = chunk(text).model_copy(update={"thread_id": thread})
            async with order[step.thread]:
                match step.what:
                    case "flush":
                        await log.flush()
                    case "prune":
                        await log.prune()
                    case "forget":
                        await log.forget(thread)
                        told[step.thread].clear()
                    case _:
                        await log.append(thread, [event], durable=step.what == "durable")
                        told[step.thread].append(text)

        async with logs.open() as log, anyio.create_task_group() as tasks:
            for number, step in enumerate(plan):
                await _yield(step.pause)
                tasks.start_soon(play, log, number, step)
        async with logs.open() as log:
            for thread, expected in told.items():
                assert (await log.position(str(thread))).seq == len(expected)
                async with log.open(str(thread), after_seq=0) as reader:
                    assert texts(await read_until(reader, len(expected)) if expected else []) == expected
            assert log.backlog == 0
        async with Database(logs.url) as database:
            rows = await database.rows(select(event_table.c.thread_id))
            assert len(rows) == sum(map(len, told.values()))

    with TemporaryDirectory() as folder:
        asyncio.run(run(SqlLogs(f"sqlite+aiosqlite:///{folder}/log.db", bounds)))
