"""The pulse of an event loop: how late its timer is, and how much of that was the loop's own work.

``python -m app.bench.pulse FILE serve`` is ``voztaxi serve`` with a pulse; ``python -m app.bench.pulse FILE`` alone is
an idle loop, to tell what the machine itself makes late. On SIGUSR2 the figures since the last time are written to
FILE as JSON, and counting begins anew.
"""

import asyncio
import ctypes
import gc
import json
import runpy
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

BEAT_SECONDS = 0.002
LATE_SECONDS = 0.02
"""Later than this the loop counts as blocked."""
_WHERE_FRAMES = 6


class Pulse:
    """Measures the loop that it runs on.

    Args:
        file: Where the figures are written.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._thread = threading.get_ident()
        self._beat_at = time.monotonic()
        self._is_spoilt = False
        self._collection_began = 0.0
        self._reset()

    def _reset(self) -> None:
        self._lags: Counter[int] = Counter()
        self._works: Counter[int] = Counter()
        self._worst_lag = self._worst_work = 0.0
        self._collections = 0
        self._worst_collection = 0.0
        self._where: Counter[str] = Counter()
        self._since = time.monotonic()

    async def run(self) -> None:
        """Beat for ever."""
        threading.Thread(target=self._watch, name="pulse", daemon=True).start()
        gc.callbacks.append(self._on_collection)
        while True:
            work_before = time.thread_time()
            self._beat_at = before = time.monotonic()
            await asyncio.sleep(BEAT_SECONDS)
            lag = max(0.0, time.monotonic() - before - BEAT_SECONDS)
            work = time.thread_time() - work_before
            if self._is_spoilt:  # by writing the figures
                self._is_spoilt = False
                continue
            self._lags[int(lag * 10_000)] += 1
            self._works[int(work * 10_000)] += 1
            self._worst_lag = max(self._worst_lag, lag)
            self._worst_work = max(self._worst_work, work)

    def write(self) -> None:
        """Write what was measured, and begin anew."""
        self._is_spoilt = True
        gc.collect()
        _give_back()
        in_use = _in_use_bytes()
        figures: dict[str, Any] = {
            "seconds": round(time.monotonic() - self._since, 1),
            "tasks": len(asyncio.all_tasks()),
            "objects": len(gc.get_objects()),
            "in_use_mb": None if in_use is None else round(in_use / 2**20, 2),
            "lag_p50_ms": _quantile(self._lags, 0.5),
            "lag_p99_ms": _quantile(self._lags, 0.99),
            "lag_worst_ms": round(self._worst_lag * 1000, 1),
            "lags_over_20_ms": sum(count for bin_, count in self._lags.items() if bin_ >= LATE_SECONDS * 10_000),
            "work_p99_ms": _quantile(self._works, 0.99),
            "work_worst_ms": round(self._worst_work * 1000, 1),
            "works_over_20_ms": sum(count for bin_, count in self._works.items() if bin_ >= LATE_SECONDS * 10_000),
            "collections": self._collections,
            "collection_worst_ms": round(self._worst_collection * 1000, 1),
            "where": self._where.most_common(8),
        }
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(figures), encoding="utf-8")
        part.replace(self._file)
        self._reset()

    def _on_collection(self, phase: str, info: dict[str, Any]) -> None:
        """Note how long the garbage collector holds everything up."""
        now = time.perf_counter()
        if phase == "start":
            self._collection_began = now
        elif not self._is_spoilt:
            self._collections += 1
            self._worst_collection = max(self._worst_collection, now - self._collection_began)

    def _watch(self) -> None:
        """Look where the loop is, from outside, while it is late."""
        seen = 0.0
        while True:
            time.sleep(0.005)
            if time.monotonic() - self._beat_at > LATE_SECONDS and self._beat_at != seen:
                seen = self._beat_at
                frame = sys._current_frames().get(self._thread)
                # Not extract_stack: it reads the source of all that it meets, and keeps it, 13 MB in ten minutes.
                frames = islice(traceback.walk_stack(frame), _WHERE_FRAMES) if frame is not None else ()
                codes = [each.f_code for each, _ in frames]
                if codes:
                    self._where[" < ".join(f"{Path(code.co_filename).name}:{code.co_name}" for code in codes)] += 1


def _give_back() -> None:
    """Let the allocator return what nobody uses, where it is glibc's: what is left is held."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class _MallocInfo(ctypes.Structure):
    """glibc's ``mallinfo2``, of malloc.h: ten sizes, of which the eighth is what the program holds."""

    _fields_ = (("_before", ctypes.c_size_t * 7), ("in_use", ctypes.c_size_t), ("_after", ctypes.c_size_t * 2))


def _in_use_bytes() -> int | None:
    """Return what the program holds of the allocator's heaps, without holes; None where the allocator does not tell."""
    mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo2 is None:
        return None
    mallinfo2.restype = _MallocInfo
    return int(mallinfo2().in_use)


def _quantile(bins: Counter[int], share: float) -> float:
    """Return the upper edge of the bin of 0.1 ms in which a share lies."""
    left = share * sum(bins.values())
    for bin_ in sorted(bins):
        left -= bins[bin_]
        if left <= 0:
            return (bin_ + 1) / 10
    return 0.0


def main(file: Path, command: list[str]) -> None:
    """Run a command of the server, or nothing, with a pulse."""
    pulse = Pulse(file)
    if not command:
        asyncio.run(_idle(pulse))
        return
    serve = uvicorn.Server.serve

    async def with_pulse(server: uvicorn.Server, *arguments: Any, **options: Any) -> None:
        signal.signal(signal.SIGUSR2, _writes(pulse))
        beating = asyncio.create_task(pulse.run())
        try:
            await serve(server, *arguments, **options)
        finally:
            beating.cancel()

    uvicorn.Server.serve = with_pulse  # type: ignore[method-assign,assignment]
    sys.argv = ["voztaxi", *command]
    # As a command, not as an import: nothing below the command knows it.
    runpy.run_module("app.cli", run_name="__main__", alter_sys=True)


async def _idle(pulse: Pulse) -> None:
    signal.signal(signal.SIGUSR2, _writes(pulse))
    pulse.write()  # whoever waits sees that it has begun
    await pulse.run()


def _writes(pulse: Pulse) -> Any:
    def on_signal(number: int, frame: FrameType | None) -> None:
        pulse.write()

    return on_signal


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
