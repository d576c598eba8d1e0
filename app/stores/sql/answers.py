"""Explanations that were generated, in an SQL database."""

import json

from sqlalchemy import Connection, RowMapping, delete, select, update

from app.models.explanations import Explanation, SavedAnswer
from app.stores.sql.database import Database
from app.stores.sql.tables import ai_answers
from app.stores.sql.upsert import insert_if_new


class SqlAnswerStore:
    """An ``AnswerStore``.

    Args:
        database: Open for as long as the store is used.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, question_hash: str) -> SavedAnswer | None:
        """See ``AnswerStore``."""
        row = await self._database.row(select(ai_answers).where(ai_answers.c.question_hash == question_hash))
        return None if row is None else _answer(row)

    async def save(self, answer: SavedAnswer) -> SavedAnswer:
        """See ``AnswerStore``."""
        present = select(ai_answers).where(ai_answers.c.question_hash == answer.question_hash)

        def work(connection: Connection) -> SavedAnswer:
            if insert_if_new(connection, ai_answers, _row(answer), keys=("question_hash",)):
                return answer
            return _answer(connection.execute(present).mappings().one())

        return await self._database.write(work)

    async def count_hit(self, question_hash: str, *, at: int) -> None:
        """See ``AnswerStore``."""
        await self._database.execute(
            update(ai_answers)
            .where(ai_answers.c.question_hash == question_hash)
            .values(hits=ai_answers.c.hits + 1, used_at=at)
        )

    async def prune(self, *, keep: int) -> None:
        """See ``AnswerStore``."""
        newest_first = (ai_answers.c.used_at.desc(), ai_answers.c.question_hash)
        old = select(ai_answers.c.question_hash).order_by(*newest_first).offset(keep)
        await self._database.execute(delete(ai_answers).where(ai_answers.c.question_hash.in_(old)))


def _row(answer: SavedAnswer) -> dict[str, object]:
    explanation = answer.explanation.model_dump(mode="json")
    return {
        **answer.model_dump(exclude={"explanation"}),
        "steps": json.dumps(explanation["steps"]),
        "total_duration": explanation["total_duration"],
        "used_at": answer.created_at,
    }


def _answer(row: RowMapping) -> SavedAnswer:
    explanation = Explanation(steps=json.loads(row["steps"]), total_duration=row["total_duration"])
    return SavedAnswer(**{name: row[name] for name in SavedAnswer.model_fields if name in row}, explanation=explanation)
