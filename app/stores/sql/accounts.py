"""Accounts, logins and the server's own secrets in an SQL database."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, select, update

from app.models.account import Account, RefreshToken
from app.stores.sql.database import Database
from app.stores.sql.tables import accounts, refresh_tokens, secrets
from app.stores.sql.upsert import insert_if_new, insert_new

_ACCOUNT = (accounts.c.account_id, accounts.c.name, accounts.c.password_hash, accounts.c.created_at)


class SqlAccountStore:
    """An ``AccountStore``.

    Args:
        database: Open for as long as the store is used.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, account: Account, name_key: str) -> bool:
        """See ``AccountStore``."""
        row = account.model_dump() | {"name_key": name_key}
        return await self._database.write(
            lambda connection: insert_if_new(connection, accounts, row, keys=("name_key",))
        )

    async def get(self, account_id: str) -> Account | None:
        """See ``AccountStore``."""
        return await self._one(accounts.c.account_id == account_id)

    async def by_name(self, name_key: str) -> Account | None:
        """See ``AccountStore``."""
        return await self._one(accounts.c.name_key == name_key)

    async def list(self) -> Sequence[Account]:
        """See ``AccountStore``."""
        oldest_first = select(*_ACCOUNT).order_by(accounts.c.created_at, accounts.c.account_id)
        return [Account.model_validate(dict(row)) for row in await self._database.rows(oldest_first)]

    async def set_password(self, account_id: str, password_hash: str) -> None:
        """See ``AccountStore``."""
        changed = update(accounts).where(accounts.c.account_id == account_id).values(password_hash=password_hash)
        await self._database.execute(changed)

    async def remove(self, account_id: str) -> None:
        """See ``AccountStore``."""
        await self._database.execute(delete(accounts).where(accounts.c.account_id == account_id))

    async def add_refresh_token(self, token: RefreshToken, *, now: int) -> None:
        """See ``AccountStore``."""

        def work(connection: Connection) -> None:
            connection.execute(delete(refresh_tokens).where(refresh_tokens.c.expires_at < now))
            insert_new(connection, refresh_tokens, [token.model_dump()], keys=("token_hash",))

        await self._database.write(work)

    async def use_refresh_token(self, token_hash: str, *, now: int) -> RefreshToken | None:
        """See ``AccountStore``."""
        # Locked from here on: of two who use it at once one is the first.
        present = select(refresh_tokens).where(refresh_tokens.c.token_hash == token_hash).with_for_update()
        use = (
            update(refresh_tokens)
            .where(refresh_tokens.c.token_hash == token_hash, refresh_tokens.c.used_at.is_(None))
            .values(used_at=now)
        )

        def work(connection: Connection) -> RowMapping | None:
            row = connection.execute(present).mappings().one_or_none()
            if row is not None:
                connection.execute(use)
            return row

        row = await self._database.write(work)
        return None if row is None else RefreshToken.model_validate(dict(row))

    async def revoke_family(self, family: str) -> None:
        """See ``AccountStore``."""
        await self._revoke(refresh_tokens.c.family == family)

    async def revoke_all(self, account_id: str) -> None:
        """See ``AccountStore``."""
        await self._revoke(refresh_tokens.c.account_id == account_id)

    async def secret(self, name: str, proposed: str) -> str:
        """See ``AccountStore``."""

        def work(connection: Connection) -> str:
            insert_new(connection, secrets, [{"name": name, "value": proposed}], keys=("name",))
            return str(connection.execute(select(secrets.c.value).where(secrets.c.name == name)).scalar_one())

        return await self._database.write(work)

    async def _one(self, condition: ColumnElement[bool]) -> Account | None:
        row = await self._database.row(select(*_ACCOUNT).where(condition))
        return None if row is None else Account.model_validate(dict(row))

    async def _revoke(self, condition: ColumnElement[bool]) -> None:
        await self._database.execute(delete(refresh_tokens).where(condition))
