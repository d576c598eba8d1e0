"""Deliveries in an SQL database, shared by any number of processes."""

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, RowMapping, delete, func, select, update

from app.core.logging import bound_ids
from app.models.delivery import Delivery, DeliveryKind, DeliveryState
from app.stores.sql.database import Database
from app.stores.sql.tables import outbox, webhooks
from app.stores.sql.upsert import insert_if_new, insert_new

_IN_DOCUMENT = {"event", "trace"}


class SqlOutbox:
    """An ``Outbox``.

    Args:
        database: Open for as long as the outbox is used.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(
        self, owner: str, *, kinds: frozenset[DeliveryKind], now: int, lease_until: int, limit: int
    ) -> Sequence[Delivery]:
        """See ``Outbox``."""
        earlier = outbox.alias("earlier")
        is_behind = (
            select(earlier.c.number)
            .where(earlier.c.lane == outbox.c.lane, earlier.c.number < outbox.c.number, earlier.c.state == "pending")
            .exists()
        )
        # Who comes second passes over the rows that the first has locked (SQLite has one writer, and no
        # need of it); as a common table expression it is evaluated once, whatever the planner likes.
        due = (
            select(outbox.c.number)
            .where(
                outbox.c.state == "pending",
                outbox.c.kind.in_(sorted(kinds)),
                outbox.c.next_attempt_at <= now,
                outbox.c.lease_until <= now,
                ~is_behind,
            )
            .order_by(outbox.c.number)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        lease = (
            update(outbox)
            .where(outbox.c.number.in_(select(due.c.number)))
            .values(lease_owner=owner, lease_until=lease_until, attempts=outbox.c.attempts + 1)
            .returning(outbox)
        )
        rows = await self._database.write(lambda connection: connection.execute(lease).mappings().all())
        return [_delivery(row) for row in sorted(rows, key=lambda row: int(row["number"]))]

    async def settle(
        self, claimed: Delivery, state: DeliveryState, *, next_attempt_at: int = 0, error: str | None = None
    ) -> bool:
        """See ``Outbox``."""
        fields = {"state": state, "next_attempt_at": next_attempt_at, "last_error": error}
        settled = (
            update(outbox)
            .where(
                outbox.c.delivery_id == claimed.delivery_id,
                outbox.c.state == "pending",
                outbox.c.lease_owner == claimed.lease_owner,
                outbox.c.attempts == claimed.attempts,
            )
            .values(**fields, lease_owner=None, lease_until=0)
            .returning(outbox.c.number)
        )
        return await self._database.write(lambda connection: connection.execute(settled).one_or_none() is not None)

    async def get(self, delivery_id: str) -> Delivery | None:
        """See ``Outbox``."""
        row = await self._database.row(select(outbox).where(outbox.c.delivery_id == delivery_id))
        return None if row is None else _delivery(row)

    async def list(self, *states: DeliveryState, limit: int = 100) -> Sequence[Delivery]:
        """See ``Outbox``."""
        oldest_first = select(outbox).where(outbox.c.state.in_(states)).order_by(outbox.c.number).limit(limit)
        return [_delivery(row) for row in await self._database.rows(oldest_first)]

    async def counts(self) -> Mapping[DeliveryState, int]:
        """See ``Outbox``."""
        counts: dict[DeliveryState, int] = {"pending": 0, "parked": 0}
        count = (
            select(outbox.c.state, func.count().label("count"))
            .where(outbox.c.state.in_(sorted(counts)))
            .group_by(outbox.c.state)
        )
        return counts | {row["state"]: row["count"] for row in await self._database.rows(count)}

    async def retry(self, name: str | None, *, now: int) -> int:
        """See ``Outbox``."""
        again = update(outbox).where(outbox.c.state == "parked").values(state="pending", next_attempt_at=now)
        if name is not None:
            again = again.where((outbox.c.delivery_id == name) | (outbox.c.booking_id == name))
        again = again.returning(outbox.c.number)
        return await self._database.write(lambda connection: len(connection.execute(again).all()))

    async def prune(self, *, before: int) -> None:
        """See ``Outbox``."""
        is_over = outbox.c.state.not_in(("pending", "parked")) & (outbox.c.created_at < before)
        await self._database.execute(
            delete(outbox).where(is_over), delete(webhooks).where(webhooks.c.received_at < before)
        )


def add_deliveries(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    """Store deliveries in the transaction of whatever entails them; what is there already stays as it is."""
    trace = bound_ids()
    rows = [
        delivery.model_dump(exclude=_IN_DOCUMENT)
        | {"lane": delivery.lane}
        | {"document": delivery.model_copy(update={"trace": trace}).model_dump_json(include=_IN_DOCUMENT)}
        for delivery in deliveries
    ]
    insert_new(connection, outbox, rows, keys=("delivery_id",))


def is_new_event(connection: Connection, event_id: str, at: int) -> bool:
    """Note an event in the transaction of what it does, and return whether it was not known."""
    row = {"event_id": event_id, "received_at": at}
    return insert_if_new(connection, webhooks, row, keys=("event_id",))


def _delivery(row: RowMapping) -> Delivery:
    return Delivery.model_validate(dict(row) | json.loads(row["document"]))
