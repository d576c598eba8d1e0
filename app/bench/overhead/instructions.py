"""Instructions of the processor that a turn takes, counted by valgrind's callgrind.

A count does not depend on how busy or how fast a machine is: it tells a change of one in a hundred where times tell one
of ten. It says nothing of waiting, nor of what the kernel does.
"""

import re
import subprocess
from typing import Any

from app.bench.overhead.contenders import Contender, Server
from app.bench.overhead.measuring import loading, order

CALLGRIND = (
    "valgrind",
    "--tool=callgrind",
    "--instr-atstart=no",  # what a start takes belongs to no turn, and is fifty times as slow when counted
    "--callgrind-out-file=callgrind.%p",
)
_TURNS = 5
_SUMMARY = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


def counted(contender: Contender, server: Server) -> dict[str, Any]:
    """Return the instructions of a turn of 64 tokens: one client, one turn after the other.

    Args:
        contender: Who.
        server: It, run under ``CALLGRIND``.

    Raises:
        Failed: The client was not served.
    """
    asked = order(contender, server, connections=1, seconds=0, turns=_TURNS, warm_up=_TURNS, limit_seconds=180)
    with loading(asked) as load:
        _tell(server, "--instr=on")
        found = load.run()
        _tell(server, "--dump")  # before it counts no more: that would set all to nothing
    [dump] = server.folder.glob("callgrind.*.1")
    summary = _SUMMARY.search(dump.read_text(encoding="utf-8", errors="replace"))
    assert summary is not None, "callgrind always writes it"
    return {"instructions_a_turn": int(summary[1]) // _TURNS, "turns": _TURNS, "wrong": found["wrong"]}


def _tell(server: Server, what: str) -> None:
    # In the server's environment: the two meet at files that are named by USER and HOST, and HOST is a setting of ours.
    command = ["callgrind_control", what, str(server.pid)]
    subprocess.run(command, check=True, capture_output=True, timeout=120, env=server.env)  # noqa: S603 - valgrind's
