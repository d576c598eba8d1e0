"""What every store of recordings promises; files are the one there is."""

import fcntl
import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import anyio
import av
import numpy as np
import pytest

from app.core.errors import NotFound, StoreError
from app.models.audio import HEARING_RATE, SPEAKING_RATE
from app.models.recordings import RecordingInfo, TurnMark
from app.stores.base import RecordingStore
from app.stores.recordings import FileRecordingStore
from tests.contract.conftest import DAY_MS

pytestmark = pytest.mark.contract

HOSTILE = [
    "",
    ".",
    "../../etc/passwd",
    "0" * 65,
    f"{'0' * 32}-{'0' * 31}/",
    f"{'a' * 32}-{'b' * 32}\n",
    "\x00",
    "é" * 65,
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "recordings"


@pytest.fixture
def store(folder: Path) -> RecordingStore:
    return FileRecordingStore(folder)


def a_recording(store: RecordingStore, thread_id: str = "t", *, started_at: int = 1_000) -> RecordingInfo:
    return RecordingInfo(
        id=store.new_id(thread_id),
        thread_id=thread_id,
        owner="ana",
        started_at=started_at,
        consent="Se graba.",
        consented_at=started_at - 1,
        expires_at=started_at + DAY_MS,
    )


def tone(hertz: float, seconds: float, rate: int) -> bytes:
    at = np.arange(int(seconds * rate)) / rate
    return (8_000 * np.sin(2 * np.pi * hertz * at)).astype(np.int16).tobytes()


def silence(seconds: float, rate: int) -> bytes:
    return bytes(int(seconds * rate) * 2)


async def make(store: RecordingStore, info: RecordingInfo, seconds: int = 2) -> RecordingInfo:
    """Record two tones, and return what was saved."""
    done = info.model_copy(update={"state": "whole", "duration_ms": seconds * 1_000})
    async with store.open(info) as writer:
        for _ in range(seconds):
            await writer.write(tone(440, 1, HEARING_RATE), tone(1_000, 1, SPEAKING_RATE))
        await writer.end(done)
    return done


def decode(path: Path) -> np.ndarray:
    """Return the sound of a file: rider and agent, samples at 48 kHz between -1 and 1."""
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)


def loudest(sound: np.ndarray, rate: int) -> float:
    """Return the frequency that is heard most."""
    return float(np.argmax(np.abs(np.fft.rfft(sound))) * rate / len(sound))


async def wav_of(store: RecordingStore, info: RecordingInfo) -> bytes:
    return b"".join([piece async for piece in store.wav(info.id, duration_ms=info.duration_ms)])


async def sound_of(store: RecordingStore, info: RecordingInfo) -> Path:
    path = await store.audio(info.id)
    assert path is not None
    return path


async def test_the_rider_is_on_the_left_and_the_agent_on_the_right_in_step(store: RecordingStore) -> None:
    info = a_recording(store)
    async with store.open(info) as writer:
        await writer.write(silence(1, HEARING_RATE), silence(1, SPEAKING_RATE))
        await writer.write(tone(440, 1, HEARING_RATE), silence(1, SPEAKING_RATE))
        await writer.write(silence(1, HEARING_RATE), tone(1_000, 1, SPEAKING_RATE))
        await writer.end(info)
    rider, agent = decode(await sound_of(store, info))
    loud = [
        [float(np.abs(each[n * 48_000 + 2_400 : (n + 1) * 48_000 - 2_400]).mean()) > 0.01 for n in range(3)]
        for each in (rider, agent)
    ]

    assert loud == [[False, True, False], [False, False, True]]
    assert loudest(rider[48_000:96_000], 48_000) == pytest.approx(440, abs=2)
    assert loudest(agent[96_000:144_000], 48_000) == pytest.approx(1_000, abs=2)
    assert float(np.abs(agent[48_000:93_000]).max()) < 0.001  # neither is heard in the other


async def test_what_is_known_of_a_recording_is_found_by_its_id_and_by_its_thread(store: RecordingStore) -> None:
    second = await make(store, a_recording(store, started_at=2_000))
    first = await make(store, a_recording(store, started_at=1_000))
    other = await make(store, a_recording(store, "../t"))

    assert await store.get(first.id) == first
    assert await store.of_thread("t") == [first, second]
    assert await store.of_thread("../t") == [other]
    assert await store.of_thread("") == []


async def test_while_it_goes_on_it_says_so_and_what_is_saved_is_seen(store: RecordingStore) -> None:
    info = a_recording(store)
    marked = info.model_copy(update={"marks": (TurnMark(at_ms=7, turn_id="u", who="rider"),)})
    async with store.open(info) as writer:
        assert await store.of_thread("t") == [info]
        await writer.save(marked)
        assert await store.get(info.id) == marked
        assert await store.sweep(now=info.started_at) == 0
        assert await store.get(info.id) == marked


async def test_a_wav_is_exactly_as_long_as_it_says(store: RecordingStore) -> None:
    info = await make(store, a_recording(store), seconds=3)
    wav = await wav_of(store, info)
    sound = np.frombuffer(wav[44:], np.int16).reshape(-1, 2)
    longer = await wav_of(store, info.model_copy(update={"duration_ms": 3_500}))

    assert (wav[:4], wav[8:16], int.from_bytes(wav[40:44], "little")) == (b"RIFF", b"WAVEfmt ", len(wav) - 44)
    assert len(sound) == 3 * SPEAKING_RATE
    assert loudest(sound[:, 0], SPEAKING_RATE) == pytest.approx(440, abs=2)
    assert loudest(sound[:, 1], SPEAKING_RATE) == pytest.approx(1_000, abs=2)
    assert len(longer) == 44 + int(3.5 * SPEAKING_RATE) * 4


async def test_what_was_deleted_is_gone_also_while_it_goes_on(store: RecordingStore, folder: Path) -> None:
    done, info = await make(store, a_recording(store)), a_recording(store)
    async with store.open(info) as writer:
        assert await store.delete(info.id)
        with pytest.raises(NotFound):
            await writer.write(silence(1, HEARING_RATE), silence(1, SPEAKING_RATE))
        with pytest.raises(NotFound):
            await writer.end(info)
    assert await store.delete(done.id)

    assert not await store.delete(done.id)
    assert (await store.get(done.id), await store.audio(done.id), await store.of_thread("t")) == (None, None, [])
    assert list(folder.rglob("*")) == []


async def test_forgetting_a_thread_leaves_others(store: RecordingStore) -> None:
    for _ in range(2):
        await make(store, a_recording(store))
    other = await make(store, a_recording(store, "u"))
    await store.forget("t")
    await store.forget("nobody")

    assert await store.of_thread("t") == []
    assert await store.of_thread("u") == [other]


async def test_what_expires_is_deleted_and_nothing_else(store: RecordingStore, folder: Path) -> None:
    old, new = await make(store, a_recording(store)), await make(store, a_recording(store, started_at=5_000))
    assert await store.sweep(now=old.expires_at - 1) == 0
    assert await store.sweep(now=old.expires_at) == 1

    assert await store.of_thread("t") == [new]
    assert await store.sweep(now=new.expires_at) == 1
    assert list(folder.rglob("*")) == []


async def test_what_nobody_goes_on_with_is_closed_with_the_sound_it_has(store: RecordingStore) -> None:
    info, silent = a_recording(store), a_recording(store)
    async with store.open(info) as writer:
        for _ in range(4):
            await writer.write(tone(440, 1, HEARING_RATE), tone(1_000, 1, SPEAKING_RATE))
    async with store.open(silent):
        pass

    assert await store.sweep(now=0) == 2
    closed = await store.get(info.id)
    assert closed is not None
    assert (closed.state, closed.code) == ("cut", None)
    assert 2_900 <= closed.duration_ms <= 4_000
    assert await store.get(silent.id) is None
    assert await store.sweep(now=0) == 0


async def test_wherever_a_file_is_torn_what_was_whole_of_it_is_heard(store: RecordingStore) -> None:
    info = a_recording(store)
    async with store.open(info) as writer:
        for _ in range(5):
            await writer.write(tone(440, 1, HEARING_RATE), tone(1_000, 1, SPEAKING_RATE))
    path = await sound_of(store, info)
    whole = path.read_bytes()
    heard: list[int] = []
    for length in range(0, len(whole), len(whole) // 40):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(whole[:length])
        path.with_suffix(".json").write_text(info.model_dump_json())
        await store.sweep(now=0)
        known = await store.get(info.id)
        heard.append(0 if known is None else known.duration_ms)
        if known is not None:
            assert len(await wav_of(store, known)) == 44 + known.duration_ms * SPEAKING_RATE // 1000 * 4
            assert decode(path).shape[1] >= known.duration_ms * 48 - 960

    assert heard == sorted(heard)
    assert heard[0] == 0
    assert heard[-1] >= 2_900


async def test_remains_of_a_process_that_died_early_are_cleared_away(store: RecordingStore, folder: Path) -> None:
    infos = [await make(store, a_recording(store, f"t{number}")) for number in range(3)]
    paths: Sequence[Path] = [await sound_of(store, info) for info in infos]
    paths[0].unlink()  # deleted halfway
    paths[1].with_suffix(".json").unlink()  # begun halfway
    paths[2].with_suffix(".json").write_text(json.dumps({"id": "no"}))
    await store.sweep(now=0)

    assert [await store.get(info.id) for info in infos] == [None] * 3
    assert [path.name for path in folder.rglob("*.*")] == []


async def test_one_that_is_tidied_up_before_it_is_locked_is_begun_again(
    store: RecordingStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, times = fcntl.flock, 0

    def tidied_up_first(file: int, operation: int) -> None:
        nonlocal times
        times += 1
        if times == 1:
            for left in folder.glob("*/*"):
                left.unlink()
            for empty in folder.iterdir():
                empty.rmdir()
        lock(file, operation)

    monkeypatch.setattr("app.stores.recordings.fcntl.flock", tidied_up_first)
    info = a_recording(store)
    async with store.open(info) as writer:
        await writer.end(info)

    assert times == 2
    assert await store.get(info.id) == info


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_cannot_be_an_id_names_nothing(store: RecordingStore, folder: Path, name: str) -> None:
    kept = await make(store, a_recording(store))
    assert await store.get(name) is None
    assert await store.audio(name) is None
    assert not await store.delete(name)
    with pytest.raises(NotFound):
        await anext(aiter(store.wav(name, duration_ms=1)))
    assert await store.get(kept.id) == kept


async def test_nobody_else_on_the_machine_may_look(store: RecordingStore, folder: Path) -> None:
    before = os.umask(0)
    try:
        again = await anyio.to_thread.run_sync(FileRecordingStore, folder / "another")
        for each in (store, again):
            await make(each, a_recording(each))
    finally:
        os.umask(before)
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in (folder / "another", *folder.rglob("*"))}

    assert modes == {True: 0o700, False: 0o600}
    assert all(stat.S_IMODE(path.stat().st_mode) in (0o700, 0o600) for path in folder.rglob("*"))


async def test_names_of_files_hold_nothing_that_a_client_said(store: RecordingStore, folder: Path) -> None:
    info = await make(store, a_recording(store, "../../calle-72"))
    assert {path.name for path in folder.rglob("*.*")} == {f"{info.id}.ogg", f"{info.id}.json"}
    assert "calle" not in info.id


async def test_a_full_disk_is_said_and_what_was_written_stays(
    store: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = a_recording(store)
    async with store.open(info) as writer:
        for _ in range(4):
            await writer.write(tone(440, 1, HEARING_RATE), tone(1_000, 1, SPEAKING_RATE))
        with monkeypatch.context() as full:
            full.setattr("app.stores.recordings.os.write", _no_space)
            with pytest.raises(StoreError):
                for _ in range(4):
                    await writer.write(tone(440, 1, HEARING_RATE), tone(1_000, 1, SPEAKING_RATE))
        await writer.end(info.model_copy(update={"state": "cut", "duration_ms": 4_000, "code": "store_failed"}))
    known = await store.get(info.id)

    assert known is not None
    assert known.code == "store_failed"
    assert decode(await sound_of(store, info)).shape[1] >= 2.9 * 48_000


def _no_space(_file: int, _data: bytes) -> int:
    raise OSError(28, "No space left on device")
