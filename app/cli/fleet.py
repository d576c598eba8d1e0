"""``voztaxi fleet``: a fleet for development."""

import typer
import uvicorn
from pydantic import SecretStr

from app.core.signatures import read_signer
from app.devfleet.fleet import DevFleet, Knobs
from app.devfleet.server import create_fleet_app

DEVELOPMENT_SECRET = "whsec_dm96dGF4aSBkZXZlbG9wbWVudCwgbm90IHNlY3JldCE="  # noqa: S105 - says itself that it is none
"""What both sides use where nobody set another."""


def run_fleet(*, port: int, webhook_url: str, secret: SecretStr | None, knobs: Knobs, seed: int) -> None:
    """Serve a fleet until it is stopped, and print the settings with which a server uses it.

    Args:
        port: Port on loopback.
        webhook_url: Where rides are told of.
        secret: Key of the signatures; None is the one for development.
        knobs: How it behaves.
        seed: Chooses drivers, and what fails.
    """
    signer = read_signer(secret or SecretStr(DEVELOPMENT_SECRET))
    typer.echo(f"DISPATCH_URL=http://127.0.0.1:{port}/dispatches")
    typer.echo(f"FLEET_URL=http://127.0.0.1:{port}")
    typer.echo("DISPATCH_SECRET=" + ("as it is set" if secret else DEVELOPMENT_SECRET))
    fleet = DevFleet(signer=signer, webhook_url=webhook_url, knobs=knobs, seed=seed)
    uvicorn.run(create_fleet_app(fleet), host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1)
