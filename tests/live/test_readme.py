"""The README's tour, as a newcomer runs it: the same commands in the same shell against the real server."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.server import ROOT, Server, running_server

pytestmark = pytest.mark.live

HTTP, WS = "http://127.0.0.1:8000", "ws://127.0.0.1:8000"
_TOUR = re.compile(r"^## A tour.*?(?=^## )", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = "#=== block "
_SECONDS = 90


def tour() -> list[str]:
    """Return the commands of the tour, a block at a time."""
    section = _TOUR.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert section
    return _BLOCK.findall(section[0])


def take(server: Server, folder: Path) -> list[str]:
    """Run the tour in one shell; return what each block printed."""
    assert shutil.which("curl"), "curl is needed for the README's tour: install it"
    script = "".join(f"echo '{_MARK}{number}'\n{block}echo\n" for number, block in enumerate(tour()))
    script = script.replace(HTTP, server.url).replace(WS, server.url.replace("http", "ws"))
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    return re.split(rf"^{_MARK}\d+\n", ran.stdout, flags=re.MULTILINE)[1:]


def test_the_tour_of_the_readme_shows_what_it_says(tmp_path: Path) -> None:
    folder = tmp_path / "tour"
    with running_server(folder) as server:
        printed = take(server, folder)
    _, sentence, telephone, talk, thread, events, booking, cancel, stream, rest, *printed = printed
    session, later, pages, health, documents, addresses = printed

    assert '"agent": "OPERADOR"' in sentence
    assert '"name": "TransferToNavegante"' in sentence
    assert "¿Cómo vas a pagar" in sentence
    assert '"RESPONSE": "¡Hola!' in telephone
    assert '"FIN": "false"' in telephone

    words = talk.strip().splitlines()
    assert len(words) == len(("Hola", "taxi", "Calle", "El Prado", "efectivo", "No", "Sí"))
    assert words[0].startswith("RECEPCIONISTA: ")
    assert words[-1].startswith("CONFIRMADOR: ")
    assert "Tu taxi va en camino a Calle 72 #43-25, El Prado" in words[-1]

    assert '"last_seq"' in thread
    seqs = [int(seq) for seq in re.findall(r"^id: (\d+)$", events, re.MULTILINE)]
    assert seqs == list(range(1, len(seqs) + 1))
    assert events.count('"type":"turn_end"') == len(words)
    assert events.count('"status":"completed"') == len(words)

    assert '"status": "accepted"' in booking
    assert '"address": "Calle 72 #43-25"' in booking
    assert '"neighborhood": "El Prado"' in booking
    assert '"payment_method": "efectivo"' in booking

    assert '"status": "cancelled"' in cancel
    assert re.findall(r"^id: (\d+)$", cancel, re.MULTILINE) == [str(seqs[-1] + 1)]
    assert '"type":"booking_update"' in cancel

    streamed, resumed = (re.findall(r"^id: (\S+)$", each, re.MULTILINE) for each in (stream, rest))
    assert "event: start" in stream
    assert '"status":"completed","message_count":1' in stream
    assert len(streamed) > 4
    assert resumed == streamed[3:]

    said, again = (re.findall(r"^id: (\S+)$", each, re.MULTILINE) for each in (session, later))
    assert '"type": "start"' in session
    assert session.count('"type": "done"') == later.count('"type": "done"') == 1
    assert len(said) > 4
    assert again == said[3:]
    assert "# Al aeropuerto" in later
    assert later.count("> Necesito un taxi") == 1
    shown = ("chat_realtime_demo", "stream_client", "explanations", "recording")
    assert pages.split() == [f'href="{name}.html"' for name in shown]

    assert '"status":"healthy","stores":{"database":"ok"}' in health
    assert '"service":"websocket_streaming"' in health
    assert '"openapi": "3.' in documents
    assert '"asyncapi": "3.0.0"' in documents
    assert '"address": "Calle 72 #43-25", "neighborhood": "El Prado"' in addresses
    assert '"address": "Carrera 51B #79-40"' in addresses


def test_the_tour_leaves_the_two_commands_and_the_packages_alone() -> None:
    commands = "".join(tour())

    assert "scripts/" not in commands
    assert "install" not in commands
