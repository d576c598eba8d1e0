"""Recordings of conversations: who may have them, how they end, and that they are never in the way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import pytest

from app.api.deps import Services
from app.bootstrap import open_services
from app.core.errors import Misconfigured, StoreError
from app.main import create_app
from app.models.account import ANYONE, Caller
from app.models.audio import HEARING_RATE, SPEAKING_RATE, bytes_of
from app.models.recordings import RecordingInfo
from app.services.recordings import Recording, RecordingRules, RecordingService
from app.stores.base import RecordingWriter
from app.stores.recordings import FileRecordingStore
from tests.desk import make_settings

pytestmark = pytest.mark.integration

ANA, EVA = Caller(account_id="ana"), Caller(account_id="eva")
DAY_MS = 24 * 3600 * 1000
NOBODY = f"/api/v1/recordings/{'0' * 32}-{'0' * 32}"


class Clocks:
    """The clock on the wall and the one that sound is placed by: both stand still until they are moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def now_ms(self) -> int:
        return 1_800_000_000_000 + int(self.seconds * 1000)


class FaultyStore(FileRecordingStore):
    """Recordings whose disk fails or hangs on order."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.fault: Callable[[], Awaitable[None]] | None = None
        self.struck = anyio.Event()

    @asynccontextmanager
    async def open(self, info: RecordingInfo) -> AsyncIterator[RecordingWriter]:
        async with super().open(info) as writer:
            yield _FaultyWriter(self, writer)


class _FaultyWriter:
    def __init__(self, store: FaultyStore, writer: RecordingWriter) -> None:
        self._store = store
        self._writer = writer
        self.save, self.end = writer.save, writer.end

    async def write(self, rider: bytes, agent: bytes) -> None:
        if self._store.fault is not None:
            self._store.struck.set()
            await self._store.fault()
        await self._writer.write(rider, agent)


async def fails() -> None:
    raise StoreError("no space")


async def breaks() -> None:
    raise ZeroDivisionError


class Studio:
    """A recording service over a folder."""

    def __init__(self, store: FaultyStore) -> None:
        self.clocks = Clocks()
        self.store = store
        self.service = RecordingService(
            recordings=self.store,
            authorise=self._authorise,
            rules=RecordingRules(consent="Se graba.", days=30),
            now_ms=self.clocks.now_ms,
            now=self.clocks.now,
        )

    async def _authorise(self, _thread_id: str, _caller: Caller) -> None:
        return

    def open(self, caller: Caller = ANYONE) -> AbstractAsyncContextManager[Recording]:
        return self.service.open("t", caller, consented_at=7)

    async def ended(self) -> Sequence[RecordingInfo]:
        """Wait until no recording goes on, and return what there is."""
        while True:
            found = await self.store.of_thread("t")
            if all(each.state != "recording" for each in found) and found:
                return found
            await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[Studio]:
    made = Studio(await anyio.to_thread.run_sync(FaultyStore, tmp_path / "recordings"))
    async with made.service:
        yield made


def rider(milliseconds: float) -> bytes:
    return b"\x10\x10" * (bytes_of(milliseconds, HEARING_RATE) // 2)


def agent(milliseconds: float) -> bytes:
    return b"\x20\x20" * (bytes_of(milliseconds, SPEAKING_RATE) // 2)


# The service.


async def test_a_session_is_recorded_with_its_consent_its_turns_and_its_length(tmp_path: Path) -> None:
    async with opened(tmp_path) as studio:
        async with studio.open(ANA) as recording:
            studio.clocks.seconds = 1
            recording.rider(rider(1_000))
            recording.mark("u", "rider", ago_ms=800)
            studio.clocks.seconds = 2
            recording.agent(agent(3_000), 0, "u")
            studio.clocks.seconds = 4
            recording.dropped("u", 2_000)
        (info,) = await studio.ended()

        assert (info.state, info.code, info.duration_ms, info.owner) == ("whole", None, 4_000, "ana")
        assert (info.consent, info.consented_at, info.expires_at - info.started_at) == ("Se graba.", 7, 30 * DAY_MS)
        assert [(each.at_ms, each.turn_id, each.who) for each in info.marks] == [
            (200, "u", "rider"),
            (2_000, "u", "agent"),
        ]
        assert recording.id == info.id


async def test_each_session_of_a_thread_is_a_recording_of_its_own(tmp_path: Path) -> None:
    async with opened(tmp_path) as studio:
        async with studio.open(), studio.open():
            studio.clocks.seconds = 1
        assert len(await studio.ended()) == 2


@pytest.mark.parametrize(("fault", "code"), [(fails, "store_failed"), (breaks, "internal_error")])
async def test_a_disk_that_fails_ends_the_recording_and_not_the_conversation(
    tmp_path: Path, fault: Callable[[], Awaitable[None]], code: str
) -> None:
    async with opened(tmp_path) as studio:
        studio.store.fault = fault
        async with studio.open() as recording:
            await studio.store.struck.wait()
            while recording.failure is None:
                await anyio.lowlevel.checkpoint()
            for _ in range(100):
                recording.rider(rider(20))
                recording.agent(agent(20), 0, "u")
                recording.dropped("u", 0)
                recording.mark("u", "rider")
            assert recording.failure.error_code == code
        await studio.service.sweep()
        (info,) = await studio.ended() if code == "store_failed" else (None,)
        assert info is None or (info.state, info.code) == ("cut", code)


async def test_a_disk_that_hangs_keeps_nobody_waiting_and_no_more_than_half_a_minute_of_sound(tmp_path: Path) -> None:
    async with opened(tmp_path) as studio:
        studio.store.fault = anyio.sleep_forever
        async with studio.open() as recording:
            await studio.store.struck.wait()
            while recording.failure is None:
                studio.clocks.seconds += 1
                recording.rider(rider(1_000))
            assert recording.failure.error_code == "overloaded"
            assert studio.clocks.seconds < 35
        # Leaving the block has waited for nothing.


async def test_a_recording_that_cannot_begin_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as studio:
        await anyio.to_thread.run_sync((tmp_path / "recordings").rmdir)
        await anyio.to_thread.run_sync((tmp_path / "recordings").write_text, "a file")
        async with studio.open() as recording:
            while recording.failure is None:
                await anyio.lowlevel.checkpoint()
            recording.rider(rider(20))
            assert (recording.id, recording.failure.error_code) == (None, "store_failed")
        await anyio.to_thread.run_sync((tmp_path / "recordings").unlink)
        await anyio.to_thread.run_sync((tmp_path / "recordings").mkdir)


async def test_who_is_cancelled_within_a_session_leaves_a_whole_recording(tmp_path: Path) -> None:
    async with opened(tmp_path) as studio:
        began = anyio.Event()

        async def session() -> None:
            async with studio.open() as recording:
                studio.clocks.seconds = 1
                recording.rider(rider(1_000))
                began.set()
                await anyio.sleep_forever()

        task = asyncio.create_task(session())
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (info,) = await studio.ended()
        assert (info.state, info.duration_ms) == ("whole", 1_000)


async def test_a_server_that_stops_ends_what_is_recorded(tmp_path: Path) -> None:
    studio = Studio(await anyio.to_thread.run_sync(FaultyStore, tmp_path / "recordings"))
    async with studio.service:
        session = studio.open()
        await session.__aenter__()
        studio.clocks.seconds = 3
    (info,) = await studio.store.of_thread("t")
    await session.__aexit__(None, None, None)

    assert (info.state, info.duration_ms) == ("whole", 3_000)


async def test_a_recording_is_gone_when_its_days_are_over_even_before_it_is_deleted(tmp_path: Path) -> None:
    async with opened(tmp_path) as studio:
        async with studio.open():
            studio.clocks.seconds = 1
        (info,) = await studio.ended()
        studio.clocks.seconds = 30 * 24 * 3600 - 1
        await studio.service.sweep()
        assert [each.id for each in await studio.service.list("t", ANYONE)] == [info.id]
        studio.clocks.seconds += 1
        assert await studio.service.list("t", ANYONE) == []
        assert await studio.store.get(info.id) is not None
        await studio.service.sweep()
        assert await studio.store.get(info.id) is None


# The routes.


@asynccontextmanager
async def serving(
    folder: Path | None, **settings: object
) -> AsyncIterator[tuple[Services, httpx.AsyncClient, Callable[[str], Awaitable[dict[str, str]]]]]:
    """Serve in this process; the last returns the headers of an account."""
    chosen = make_settings(recordings_folder=folder, jwt_secret="a secret that is long enough for HS256", **settings)
    async with open_services(chosen) as services:
        app = create_app(chosen)
        app.state.services = services

        async def headers(name: str) -> dict[str, str]:
            tokens = await services.accounts.log_in(name, "password of this one")
            return {"Authorization": f"Bearer {tokens.access_token}"}

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            yield services, client, headers


async def record(services: Services, caller: Caller = ANYONE, thread_id: str = "t") -> RecordingInfo:
    """Record a moment."""
    assert services.recordings is not None
    known = {each.id for each in await services.recordings.list(thread_id, caller)}
    async with services.recordings.open(thread_id, caller, consented_at=7) as recording:
        recording.agent(agent(5_000), 0, "u")
        await anyio.sleep(0.3)  # the clock of sound
    while True:
        for info in await services.recordings.list(thread_id, caller):
            if info.id not in known and info.state == "whole":
                return info
        await anyio.lowlevel.checkpoint()


async def test_a_thread_has_its_recordings_and_each_its_sound_whole_and_in_parts(tmp_path: Path) -> None:
    async with serving(tmp_path / "r") as (services, client, _):
        info = await record(services)
        listed = (await client.get("/api/v1/recordings?thread_id=t")).json()
        one = (await client.get(f"/api/v1/recordings/{info.id}")).json()
        address = f"/api/v1/recordings/{info.id}/audio"
        whole = await client.get(address)
        parts = {
            asked: await client.get(address, headers={"Range": asked})
            for asked in (
                "bytes=0-9",
                "bytes=10-",
                "bytes=-5",
                "bytes=9999999-",
                "bytes=5-2",
                "bytes=-0",
                "lines=1-2",
                "x",
            )
        }
        wav = await client.get(address, params={"format": "wav"})
        nonsense = await client.get(address, params={"format": "mp3"})

    assert listed == {"recordings": [one]}
    assert (one["id"], one["state"], one["thread_id"]) == (info.id, "whole", "t")
    assert (whole.status_code, whole.headers["content-type"], whole.content[:4]) == (200, "audio/ogg", b"OggS")
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["cache-control"] == "private, no-store"
    size = len(whole.content)
    assert parts["bytes=0-9"].content == whole.content[:10]
    assert parts["bytes=0-9"].headers["content-range"] == f"bytes 0-9/{size}"
    assert (parts["bytes=10-"].status_code, parts["bytes=10-"].content) == (206, whole.content[10:])
    assert (parts["bytes=-5"].status_code, parts["bytes=-5"].content) == (206, whole.content[-5:])
    past = parts["bytes=9999999-"]
    assert (past.status_code, past.headers["content-type"]) == (416, "application/problem+json")
    assert past.headers["content-range"] == f"bytes */{size}"
    for ignored in ("bytes=5-2", "bytes=-0", "lines=1-2", "x"):
        assert (parts[ignored].status_code, parts[ignored].content) == (200, whole.content), ignored
    assert (wav.status_code, wav.headers["content-type"], wav.content[:4]) == (200, "audio/wav", b"RIFF")
    assert len(wav.content) == int(wav.headers["content-length"]) == 44 + info.duration_ms * SPEAKING_RATE // 1000 * 4
    assert nonsense.json()["code"] == "invalid_message"


async def test_one_that_goes_on_cannot_be_heard_yet_and_can_be_deleted(tmp_path: Path) -> None:
    async with serving(tmp_path / "r") as (services, client, _):
        assert services.recordings is not None
        async with services.recordings.open("t", ANYONE, consented_at=7) as recording:
            while recording.id is None:
                await anyio.lowlevel.checkpoint()
            address = f"/api/v1/recordings/{recording.id}"
            early = await client.get(f"{address}/audio")
            deleted = await client.delete(address)
        gone = await client.get(address)

    assert (early.status_code, early.json()["code"]) == (409, "conflict")
    assert deleted.json() == {"id": recording.id, "deleted": True}
    assert gone.status_code == 404


async def test_nobody_has_the_recordings_of_somebody_else(tmp_path: Path) -> None:
    async with serving(tmp_path / "r", auth_required=True) as (services, client, headers):
        for name in ("ana", "eva"):
            await services.accounts.add(name, "password of this one")
        ana, eva = await headers("ana"), await headers("eva")
        me = Caller(account_id=(await services.accounts.authenticate(ana["Authorization"].split()[1])).account_id)
        info = await record(services, me)
        answers = {
            (method, path, who): (await client.request(method, path, headers=given)).status_code
            for who, given in (("eva", eva), ("nobody", {}))
            for method, path in (
                ("GET", f"/api/v1/recordings/{info.id}"),
                ("GET", f"/api/v1/recordings/{info.id}/audio"),
                ("GET", f"/api/v1/recordings/{info.id}/audio?format=wav"),
                ("DELETE", f"/api/v1/recordings/{info.id}"),
            )
        }
        listed = await client.get("/api/v1/recordings?thread_id=t", headers=eva)
        mine = await client.delete(f"/api/v1/recordings/{info.id}", headers=ana)

    assert {answers[key] for key in answers if key[2] == "eva"} == {403}
    assert {answers[key] for key in answers if key[2] == "nobody"} == {401}
    assert listed.json() == {"recordings": []}
    assert mine.status_code == 200


async def test_forgetting_a_thread_forgets_its_recordings(tmp_path: Path) -> None:
    async with serving(tmp_path / "r") as (services, client, _):
        await client.post("/api/v1/chat", json={"text": "Hola", "thread_id": "t"})
        info = await record(services)
        other = await record(services, thread_id="u")
        assert (await client.delete("/api/v1/threads/t")).status_code == 200
        gone = await client.get(f"/api/v1/recordings/{info.id}")
        kept = await client.get(f"/api/v1/recordings/{other.id}")

    assert (gone.status_code, kept.status_code) == (404, 200)


@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "x", f"{'0' * 32}-{'g' * 32}", "%00"])
async def test_what_is_no_id_is_refused(tmp_path: Path, name: str) -> None:
    async with serving(tmp_path / "r") as (_, client, _):
        for path in (f"/api/v1/recordings/{name}", f"/api/v1/recordings/{name}/audio"):
            assert (await client.get(path)).status_code in (404, 422)
        assert (await client.get(NOBODY)).json()["code"] == "not_found"
        assert (await client.delete(NOBODY)).json()["code"] == "not_found"


async def test_where_nothing_is_recorded_there_is_nothing(tmp_path: Path) -> None:
    async with serving(None) as (services, client, _):
        assert services.recordings is None
        assert (await client.get("/api/v1/recordings?thread_id=t")).json() == {"recordings": []}
        assert (await client.get(NOBODY)).status_code == 404


async def test_a_folder_that_cannot_be_used_stops_the_server_at_its_start(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    with pytest.raises(Misconfigured, match="RECORDINGS_FOLDER"):
        async with serving(file):
            pass


async def test_without_its_packages_the_server_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "app.stores.recordings", None)
    monkeypatch.delattr("app.stores.recordings", raising=False)
    with pytest.raises(Misconfigured, match=r"voztaxi\[voice\]"):
        async with serving(tmp_path / "r"):
            pass
