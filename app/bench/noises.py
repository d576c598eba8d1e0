"""Recorded noises of rooms and streets, from Debian's packages of sounds, and coughs, which no small package holds.

The packages are fetched with ``apt-get download`` and unpacked into the user's cache; nothing of them is installed or
becomes part of the project. What cannot be had is said, never replaced in silence.
"""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from app.models.audio import HEARING_RATE

_LOUDNESS = 0.05
"""Root mean square of a noise's loudest half second, of full scale: as loud as somebody who speaks."""
_MOST_SECONDS = 2.5

LICENCES = {
    "micropolis-data": "GPL-3+ with additional terms",
    "qabcs-data": "GPL-3+; sounds CC0, CC-BY, CC-BY-SA",
    "minetest-data": "CC-BY-SA-3.0, CC0, CC-BY",
    "etw-data": "GPL-2+",
    "bucklespring-data": "GPL-2",
    "mate-media-common": "GPL-2+, CC-BY-SA",
}
_MICROPOLIS = "usr/share/games/micropolis/res/sounds"
_QABCS = "usr/share/qabcs/abcs/all/noises"
_DOORS = "usr/share/games/minetest/games/minetest_game/mods/doors/sounds"
_ETW = "usr/share/games/etw/snd"
_ALERTS = "usr/share/sounds/mate/default/alerts"
RECORDED: tuple[tuple[str, str, str], ...] = (
    ("horn, low", "micropolis-data", f"{_MICROPOLIS}/honkhonk-low.wav"),
    ("horn, medium", "micropolis-data", f"{_MICROPOLIS}/honkhonk-med.wav"),
    ("horn, high", "micropolis-data", f"{_MICROPOLIS}/honkhonk-high.wav"),
    ("siren", "micropolis-data", f"{_MICROPOLIS}/siren.wav"),
    ("skidding car", "micropolis-data", f"{_MICROPOLIS}/skid.wav"),
    ("ignition", "micropolis-data", f"{_MICROPOLIS}/ignition.wav"),
    ("explosion", "micropolis-data", f"{_MICROPOLIS}/explosion-low.wav"),
    ("dog", "qabcs-data", f"{_QABCS}/dog.ogg"),
    ("horn of a car", "qabcs-data", f"{_QABCS}/horn.ogg"),
    ("cat", "qabcs-data", f"{_QABCS}/cat.ogg"),
    ("rooster", "qabcs-data", f"{_QABCS}/rooster.ogg"),
    ("crow", "qabcs-data", f"{_QABCS}/crow.ogg"),
    ("helicopter", "qabcs-data", f"{_QABCS}/helicopter.ogg"),
    ("train", "qabcs-data", f"{_QABCS}/train.ogg"),
    ("tractor", "qabcs-data", f"{_QABCS}/tractor.ogg"),
    ("airplane", "qabcs-data", f"{_QABCS}/airplane.ogg"),
    ("zipper", "qabcs-data", f"{_QABCS}/zipper.ogg"),
    ("newspaper", "qabcs-data", f"{_QABCS}/newspaper.ogg"),
    ("whistle", "qabcs-data", f"{_QABCS}/whistle.ogg"),
    ("clock", "qabcs-data", f"{_QABCS}/clock.ogg"),
    ("bicycle", "qabcs-data", f"{_QABCS}/bicycle.ogg"),
    ("spoons", "qabcs-data", f"{_QABCS}/spoons.ogg"),
    ("guitar", "qabcs-data", f"{_QABCS}/guitar.ogg"),
    ("door opens", "minetest-data", f"{_DOORS}/doors_door_open.ogg"),
    ("door closes", "minetest-data", f"{_DOORS}/doors_door_close.ogg"),
    ("steel door", "minetest-data", f"{_DOORS}/doors_steel_door_close.ogg"),
    ("gate", "minetest-data", f"{_DOORS}/doors_fencegate_close.ogg"),
    ("another dog", "etw-data", f"{_ETW}/dog.wav"),
    ("crash", "etw-data", f"{_ETW}/crash.wav"),
    ("crowd in a stadium", "etw-data", f"{_ETW}/crowd.wav"),
    ("bark", "mate-media-common", f"{_ALERTS}/bark.ogg"),
    ("glass", "mate-media-common", f"{_ALERTS}/glass.ogg"),
    ("typing", "bucklespring-data", "usr/share/buckle/wav"),
)


@dataclass(frozen=True, slots=True)
class Noise:
    """A noise as a microphone hears it."""

    name: str
    source: str
    """The package it is a recording of, or how it was made."""
    pcm: bytes


def noises(count: int) -> tuple[list[Noise], list[str]]:
    """Return noises, and what could not be had.

    Args:
        count: How many recorded ones at most; coughs come on top.
    """
    found: list[Noise] = []
    problems: list[str] = []
    fetched: dict[str, Path | None] = {}
    for name, package, path in RECORDED:
        if len(found) >= count:
            break
        if package not in fetched:
            fetched[package] = _fetch(package, problems)
        folder = fetched[package]
        if folder is None:
            continue
        place = folder / path
        if not place.exists():
            problems.append(f"{name}: not in {package}")
            continue
        pcm = _typing(place) if place.is_dir() else _level(_decode(place))
        found.append(Noise(name, f"recorded, {package}", pcm))
    return [*found, *(Noise(f"cough {seed + 1}", "synthesised", _level(_cough(seed))) for seed in range(3))], problems


def _fetch(package: str, problems: list[str]) -> Path | None:
    """Return the folder in which a package lies unpacked; None where it cannot be had."""
    folder = _cache() / package
    if folder.exists():
        return folder
    with tempfile.TemporaryDirectory(prefix="noises-") as name:
        fetched = _run(["apt-get", "download", package], Path(name))
        archives = list(Path(name).glob("*.deb"))
        if not archives:
            problems.append(f"{package} cannot be fetched: {fetched}")
            return None
        part = Path(name) / "unpacked"
        if error := _run(["dpkg", "-x", str(archives[0]), str(part)], Path(name)):
            problems.append(f"{package} cannot be unpacked: {error}")
            return None
        _run(["cp", "-r", str(part), str(folder)], Path(name))
    return folder


def _run(command: Sequence[str], folder: Path) -> str:
    """Run a command; return the end of what it says where it fails."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603 - commands of ours
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it failed"])[-1]


def _cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "voztaxi" / "noises"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _decode(file: Path) -> np.ndarray:
    """Return a recording as samples at ``HEARING_RATE``."""
    with av.open(str(file)) as container:
        frames = [frame.to_ndarray() for frame in _as_floats(container)]
    rate = HEARING_RATE
    made = np.concatenate(frames, axis=1)[0] if frames else np.zeros(rate, dtype=np.float32)
    return np.asarray(made, dtype=np.float64)


def _as_floats(container: "av.container.InputContainer") -> "list[av.AudioFrame]":
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=HEARING_RATE)
    frames: list[av.AudioFrame] = []
    for frame in container.decode(audio=0):
        frames += resampler.resample(frame)
    return [*frames, *resampler.resample(None)]


def _typing(folder: Path) -> bytes:
    """Return keys that are struck as somebody types, from recordings of single keys."""
    files = sorted(folder.glob("*-1.wav"))[:14]
    made = np.zeros(round(_MOST_SECONDS * HEARING_RATE))
    for number, file in enumerate(files):
        key = _decode(file)
        start = round((0.1 + 0.16 * number) * HEARING_RATE)
        end = min(len(made), start + len(key))
        made[start:end] += key[: end - start]
    return _level(made)


def _cough(seed: int) -> np.ndarray:
    """Return something like a cough: a burst of coloured noise, a breath, a second burst."""
    random = np.random.default_rng(seed)
    made = np.zeros(round(0.9 * HEARING_RATE))
    for start, length, loud in ((0.0, 0.25, 1.0), (0.4, 0.3, 0.8)):
        count = round(length * HEARING_RATE)
        spectrum = np.fft.rfft(random.standard_normal(count))
        frequencies = np.fft.rfftfreq(count, 1 / HEARING_RATE)
        shape = sum(
            np.exp(-(((frequencies - peak) / width) ** 2)) for peak, width in ((500, 250), (1500, 500), (3000, 900))
        )
        burst = np.fft.irfft(spectrum * shape, count) * np.exp(-np.linspace(0, 5, count)) * loud
        place = round(start * HEARING_RATE)
        made[place : place + count] += burst / max(1e-9, np.abs(burst).max()) * loud
    return made


def _level(samples: np.ndarray) -> bytes:
    """Return samples as loud as speech, not too long, with soft ends."""
    kept = samples[: round(_MOST_SECONDS * HEARING_RATE)]
    half = HEARING_RATE // 2
    windows = [kept[start : start + half] for start in range(0, max(1, len(kept) - half), half)]
    loudest = max(float(np.sqrt(np.mean(np.square(each)))) for each in windows)
    made = kept * (_LOUDNESS / max(loudest, 1e-6))
    fade = min(400, len(made) // 4)
    if fade:
        made[-fade:] *= np.linspace(1, 0, fade)
    return (np.clip(made, -1, 1) * 32767).astype("<i2").tobytes()
