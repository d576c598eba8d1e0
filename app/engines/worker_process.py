"""What runs in a worker's process (``app/engines/worker.py``): a model, and calls to it, one after the other.

Both directions are pickles with their length before them, over a socket that only the server and this process have:
nothing in them ever comes from elsewhere. The standard library alone is imported here, the rest by what is loaded.
"""

import faulthandler
import os
import pickle
import queue
import signal
import socket
import struct
import threading
import traceback
from collections.abc import Callable, Generator
from typing import Any, BinaryIO

LENGTH = struct.Struct("!I")
"""What is before each pickle."""
_NICE = 5
"""How much a worker stands back behind the server."""


def packed(message: Any) -> bytes:
    """Return a message as it is sent."""
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(content)) + content


def main(descriptor: int) -> None:
    """Load what is told first, then answer calls until the server is gone.

    Args:
        descriptor: The socket to the server.
    """
    # The server decides when it stops, and a signal from the terminal goes to all its processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    faulthandler.enable()
    os.nice(_NICE)
    link = socket.socket(fileno=descriptor)
    inbox, outbox = link.makefile("rb"), link.makefile("wb")
    work = _Work(outbox)
    load = _receive(inbox)
    threading.Thread(target=_listen, args=(inbox, work), daemon=True).start()
    try:
        model = load()
    except Exception as error:
        work.tell("failed", f"{type(error).__name__}: {error}")
        return
    work.tell("ready")
    while True:
        work.answer(model, *work.calls.get())


class _Work:
    """The calls, as the thread that listens and the one that works share them."""

    def __init__(self, outbox: BinaryIO) -> None:
        self._outbox = outbox
        self.calls: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self.given_up = 0
        """The number of a call that nobody wants any more. Others, before and after it, are wanted."""

    def tell(self, kind: str, value: Any = None) -> None:
        self._outbox.write(packed((kind, value)))
        self._outbox.flush()

    def answer(self, model: Callable[[Any], Generator[Any]], number: int, request: Any) -> None:
        try:
            pieces = model(request)
            for piece in pieces:
                if self.given_up == number:
                    pieces.close()
                    break
                self.tell("piece", piece)
            self.tell("done")
        except OSError as error:
            if not isinstance(error, ConnectionError):
                self.tell("failed", _where(error))
        except Exception as error:
            self.tell("failed", _where(error))


def _listen(inbox: BinaryIO, work: _Work) -> None:
    """Take what the server says, also while a call is answered; end with the server."""
    try:
        while True:
            kind, number, request = _receive(inbox)
            if kind == "call":
                work.calls.put((number, request))
            else:
                work.given_up = number
    except (EOFError, OSError):
        os._exit(0)


def _receive(inbox: BinaryIO) -> Any:
    head = inbox.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    return pickle.loads(inbox.read(LENGTH.unpack(head)[0]))  # noqa: S301 - from our own parent


def _where(error: Exception) -> str:
    """Return what kind of error it is and where it was raised. Its message may hold what somebody said."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return f"{type(error).__name__} at " + " < ".join(
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames)
    )
