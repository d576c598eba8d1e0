"""The development fleet as a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from app.cli.fleet import DEVELOPMENT_SECRET
from tests.live.server import ROOT, START_SECONDS, free_port


class Fleet:
    """A running fleet."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.settings = {
            "DISPATCH_URL": f"{self.url}/dispatches",
            "FLEET_URL": self.url,
            "DISPATCH_SECRET": DEVELOPMENT_SECRET,
        }

    def turn(self, **knobs: Any) -> None:
        """Have it behave so from now on."""
        httpx.put(f"{self.url}/knobs", json=knobs).raise_for_status()

    def dispatches(self) -> list[dict[str, Any]]:
        """Return what it was asked, one entry a key."""
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/dispatches").json()["dispatches"]
        return found

    def dispatch(self, booking_id: str) -> dict[str, Any]:
        """Return the one entry of a booking."""
        (found,) = [each for each in self.dispatches() if each["booking_id"] == booking_id]
        return found

    def until(self, booking_id: str, **fields: Any) -> dict[str, Any]:
        """Return the entry of a booking once its fields are these."""
        deadline = time.monotonic() + START_SECONDS
        found: dict[str, Any] = {}
        while time.monotonic() < deadline:
            found = next((each for each in self.dispatches() if each["booking_id"] == booking_id), {})
            if found and all(found[name] == value for name, value in fields.items()):
                return found
            time.sleep(0.05)
        raise AssertionError(f"not {fields}: {found}")

    def tell(self, booking_id: str, happening: str, **more: Any) -> int:
        """Have it tell an event; return how that was answered."""
        asked = {"booking_id": booking_id, "happening": happening, **more}
        status: int = httpx.post(f"{self.url}/tell", json=asked, timeout=START_SECONDS).json()["status"]
        return status


@contextmanager
def running_fleet(server_port: int, folder: Path) -> Iterator[Fleet]:
    """Start a fleet that tells a server on a port, and stop it. Nothing is told unless it is asked to."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    webhook = f"http://127.0.0.1:{server_port}/api/v1/dispatch/webhook"
    command = [sys.executable, "-m", "app.cli", "fleet", "--port", str(port), "--webhook", webhook]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DISPATCH_", "FLEET_"))}
    process = subprocess.Popen(command, cwd=folder, env={**inherited, "PYTHONPATH": str(ROOT)})
    fleet = Fleet(port)
    try:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert process.poll() is None, "the fleet did not start"
            try:
                fleet.turn(assign_after=None)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield fleet
    finally:
        process.terminate()
        process.wait(START_SECONDS)
