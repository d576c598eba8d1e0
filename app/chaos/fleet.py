"""The fleet of a run: `voztaxi fleet` as a process, and its knobs."""

import base64
import os
import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from app.chaos.services import NotReady, Service

_CALM_RIDE = ("assigned", "arrived", "completed")
_CALM = {"ride": _CALM_RIDE, "assign_after": 1.0}
_TROUBLES: tuple[Mapping[str, Any], ...] = (
    {"delay": 2.0},
    {"fail_rate": 0.7},
    {"script": ["500-after"]},
    {"script": ["timeout"]},
    {"script": ["429", "500"]},
    {"twice": True, "shuffle": True},
)


class Fleet(Service):
    """A fleet that runs."""

    def __init__(self, folder: Path, port: int, env: Mapping[str, str], webhook: str, seed: int) -> None:
        self._chance = random.Random(f"{seed}:fleet")  # noqa: S311 - a plan, not a secret
        url = f"http://127.0.0.1:{port}"

        def ask() -> None:
            try:
                httpx.get(f"{url}/knobs", timeout=2, trust_env=False)
            except httpx.TransportError as error:
                raise NotReady from error

        command = [sys.executable, "-m", "app.cli", "fleet", "--port", str(port), "--seed", str(seed)]
        super().__init__([*command, "--webhook", webhook], folder=folder, url=url, ask=ask, env=dict(env))

    async def trouble(self) -> Mapping[str, Any]:
        """Make it slow, failing or repeating; return how."""
        knobs = self._chance.choice(_TROUBLES)
        await self._turn(knobs)
        return knobs

    async def calm(self) -> None:
        """Make it do its work."""
        await self._turn({})

    async def dispatches(self) -> list[Mapping[str, Any]]:
        """Return what it was posted, and how many taxis it sent."""
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            found: list[Mapping[str, Any]] = (await client.get(f"{self.url}/dispatches")).json()["dispatches"]
            return found

    async def has_told(self) -> bool:
        """Return whether every ride has been told to its end."""
        rides = [each for each in await self.dispatches() if each["taxis"]]
        return all(len(each["told"]) >= len(_CALM_RIDE) for each in rides)

    async def _turn(self, knobs: Mapping[str, Any]) -> None:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            answer = await client.put(f"{self.url}/knobs", json={**_CALM, **knobs})
            answer.raise_for_status()


def fleet_settings(port: int) -> dict[str, str]:
    """Return the settings by which servers and a fleet on ``port`` know each other."""
    key = base64.b64encode(os.urandom(32)).decode()
    return {"DISPATCH_URL": f"http://127.0.0.1:{port}/dispatches", "DISPATCH_SECRET": f"whsec_{key}"}


@contextmanager
def running_fleet(folder: Path, env: Mapping[str, str], *, port: int, webhook: str, seed: int) -> Iterator[Fleet]:
    """Start a fleet, and stop it.

    Args:
        folder: Where it logs.
        env: The settings of the servers.
        port: Where it listens.
        webhook: Whom it tells of rides.
        seed: Chooses drivers and troubles.
    """
    folder.mkdir(parents=True)
    fleet = Fleet(folder, port, env, webhook, seed)
    fleet.start()
    try:
        yield fleet
    finally:
        fleet.stop()
