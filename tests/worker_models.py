"""What worker processes of tests load: models with knobs."""

import os
import signal
import sys
import time
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path


def load_obedient(count_file: Path | None = None) -> Callable[[str], Generator[str]]:
    """Load a model that does what it is told; the file has a line for each time that it was loaded."""
    if count_file is not None:
        with count_file.open("a") as loads:
            loads.write(f"{os.getpid()}\n")
    return partial(_obey)


def load_never() -> Callable[[str], Generator[str]]:
    """Fail to load."""
    raise FileNotFoundError("no such model")


def load_for_ever() -> Callable[[str], Generator[str]]:
    """Take longer to load than anybody waits."""
    time.sleep(600)
    raise AssertionError


def _obey(order: str) -> Generator[str]:
    verb, _, rest = order.partition(" ")
    if verb == "say":
        yield from rest.split()
    elif verb == "crash":
        yield "last words"
        os.kill(os.getpid(), signal.SIGKILL)
    elif verb == "hang":
        yield "wait"
        time.sleep(600)
    elif verb == "fail":
        raise ValueError(f"somebody said {rest}")
    elif verb == "print":
        print(rest, flush=True)
        print(rest, file=sys.stderr, flush=True)
        yield "printed"
    elif verb == "endless":
        while True:
            time.sleep(0.01)
            yield "more"
    elif verb == "until":  # a file is there
        yield "begun"
        while not Path(rest).exists():
            time.sleep(0.01)
        yield "done"
    elif verb == "pid":
        yield str(os.getpid())
    else:
        raise AssertionError(order)
