"""``voztaxi dispatch``: what waits, what was given up, and trying that again."""

import time

import anyio
import typer

from app.bootstrap import open_outbox
from app.core.clock import now_ms
from app.core.config import Settings
from app.models.delivery import Delivery


def show(settings: Settings, limit: int) -> None:
    """Print the deliveries that are not made, oldest first."""

    async def read() -> list[Delivery]:
        async with open_outbox(settings) as outbox:
            return list(await outbox.list("pending", "parked", limit=limit))

    waiting = anyio.run(read)
    for delivery in waiting:
        made = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(delivery.created_at / 1000))
        typer.echo(
            f"{delivery.state:<8} {delivery.delivery_id}  {made}  attempts {delivery.attempts}"
            f"  {delivery.last_error or ''}".rstrip()
        )
    typer.echo(f"{len(waiting)} not delivered", err=True)


def retry(settings: Settings, name: str | None) -> int:
    """Make parked deliveries due again, and return how many there were. The server has them within a second.

    Args:
        settings: Where the outbox is.
        name: The id of a delivery or of a booking; None is all.
    """

    async def again() -> int:
        async with open_outbox(settings) as outbox:
            return await outbox.retry(name, now=now_ms())

    return anyio.run(again)
