"""nginx as it is deployed: the file of ``deploy/``, with other addresses."""

import re
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.chaos.services import NotReady, Service, ServiceMissing, free_port
from tests.live.server import ROOT

_CONFIG = ROOT / "deploy" / "nginx.conf"


@contextmanager
def run_nginx(ports: Sequence[int]) -> Iterator[Service]:
    """Run nginx in front of the processes on these ports of loopback.

    Args:
        ports: One for each process that the file names.
    """
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        raise ServiceMissing("nginx is not installed: apt-get install nginx-light")
    folder = Path(tempfile.mkdtemp(prefix="vt-nginx-"))
    folder.chmod(0o755)  # its workers are somebody else where it is started by root
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(_addressed(_CONFIG.read_text(encoding="utf-8"), folder, port, ports), encoding="utf-8")
    service = Service(
        [binary, "-c", str(config), "-e", "stderr", "-g", "daemon off;"],
        folder=folder,
        url=f"http://127.0.0.1:{port}",
        ask=lambda: _knock(port),
    )
    try:
        service.start()
        yield service
    finally:
        service.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _knock(port: int) -> None:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError as error:
        raise NotReady from error


def _addressed(text: str, folder: Path, port: int, ports: Sequence[int]) -> str:
    """Return the configuration with other addresses, and writing to another folder than ``/tmp``."""
    named = set(re.findall(r"\bserver (app\d+:8000)", text))
    assert named == {f"app{number}:8000" for number in range(1, len(ports) + 1)}, "it names other processes"
    for number, behind in enumerate(ports, 1):
        text = text.replace(f"server app{number}:8000", f"server 127.0.0.1:{behind}")
    text, listens = re.subn(r"(?<=\blisten )8080", f"127.0.0.1:{port}", text)
    assert listens == 1
    return text.replace(" /tmp/", f" {folder}/")
