"""`voztaxi`, and a signal by which it counts its tasks: what nobody can see from outside.

``python -m app.chaos.witness serve`` is ``voztaxi serve``. On SIGUSR2 it collects its garbage and writes
the number of its tasks to the file that ``TASKS_FILE`` names.
"""

import asyncio
import gc
import os
import runpy
import signal
from pathlib import Path
from types import FrameType


def _count_tasks(number: int, frame: FrameType | None) -> None:
    gc.collect()
    file = Path(os.environ["TASKS_FILE"])
    part = file.with_suffix(".part")
    part.write_text(str(len(asyncio.all_tasks())))
    part.replace(file)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR2, _count_tasks)
    # As a command, not as an import: nothing below the command knows it.
    runpy.run_module("app.cli", run_name="__main__", alter_sys=True)
