"""All figures as text: of this process, or of all workers that share a folder.

Where one server starts several workers behind one port (``uvicorn --workers``), whichever of them is asked answers
for all: each writes its figures to files in ``PROMETHEUS_MULTIPROC_DIR``, the variable of prometheus-client.
"""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def is_shared() -> bool:
    """Return whether workers share their figures."""
    return _FOLDER in os.environ


def exposition() -> bytes:
    """Return the figures in Prometheus' text format. Reads files."""
    if not is_shared():
        return generate_latest()
    folder = os.environ[_FOLDER]
    _forget_dead_workers(Path(folder))
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _forget_dead_workers(folder: Path) -> None:
    """Drop what dead workers last had: nobody is connected to them. What they counted stays counted."""
    for pid in {int(file.stem.rpartition("_")[2]) for file in folder.glob("gauge_live*_*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
        except PermissionError:
            pass  # somebody else's, and alive
