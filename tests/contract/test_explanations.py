"""What every store of explanations promises: of answers, and of where users are in them."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from pydantic import SecretStr

from app.models.explanations import CanvasInstruction, Explanation, ExplanationSession, SavedAnswer, Step
from app.stores.base import AnswerStore, ExplanationSessionStore
from app.stores.memory import MemoryAnswerStore, MemoryExplanationSessions
from app.stores.redis.client import RedisClient
from app.stores.redis.explanations import RedisExplanationSessions
from app.stores.sql.answers import SqlAnswerStore
from app.stores.sql.database import Database
from tests.contract.conftest import sql_url

pytestmark = pytest.mark.contract

DRAWING = CanvasInstruction.model_validate({"at": 3, "action": "line", "to": [1, 2.5]})
EXPLANATION = Explanation(
    steps=(
        Step(title="La tarifa «mínima» 🚕", content="Cuesta $x^2$\nen **Barranquilla**", canvas_commands=(DRAWING,)),
        Step(title="Dos", type="math", content="$1+1$"),
    ),
    total_duration=12.5,
)


def answer(number: int = 1, *, model: str = "offline") -> SavedAnswer:
    return SavedAnswer(
        question_hash=f"{number:064x}",
        question="¿Cuánto cuesta? \U0001f695",
        normalised="cuanto cuesta",
        explanation=EXPLANATION,
        model=model,
        created_at=1_800_000_000_000 + number,
    )


def session(*, position: int = 0) -> ExplanationSession:
    return ExplanationSession(
        user_id="ana",
        connection_id="c-1",
        current_question="00ff",
        current_step=2,
        pause_position=position,
        is_paused=True,
        is_streaming=True,
        created_at=1,
        last_activity=2,
    )


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def answers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AnswerStore]:
    """Every answer store."""
    if request.param == "memory":
        yield MemoryAnswerStore()
        return
    async with Database(sql_url(request.param, request, tmp_path), auto_migrate=True) as opened:
        yield SqlAnswerStore(opened)


@pytest.fixture(params=["memory", "redis"])
async def sessions(request: pytest.FixtureRequest) -> AsyncIterator[ExplanationSessionStore]:
    """Every store of sessions."""
    if request.param == "memory":
        yield MemoryExplanationSessions()
        return
    async with RedisClient(SecretStr(request.getfixturevalue("redis_url"))) as redis:
        yield RedisExplanationSessions(redis)


async def test_an_answer_is_found_as_it_was_saved(answers: AnswerStore) -> None:
    assert await answers.find(answer().question_hash) is None

    assert await answers.save(answer()) == answer()

    assert await answers.find(answer().question_hash) == answer()
    assert await answers.find(answer(2).question_hash) is None


async def test_the_first_answer_to_a_question_is_kept(answers: AnswerStore) -> None:
    await answers.save(answer(model="first"))

    assert (await answers.save(answer(model="second"))).model == "first"
    found = await answers.find(answer().question_hash)
    assert found is not None
    assert found.model == "first"


async def test_many_who_save_the_same_at_once_are_given_the_same(answers: AnswerStore) -> None:
    saved: list[str] = []

    async def save(number: int) -> None:
        saved.append((await answers.save(answer(model=str(number)))).model)

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(save, number)

    assert len(saved) == 10
    assert len(set(saved)) == 1


async def test_it_is_counted_how_often_an_answer_is_asked_for_again(answers: AnswerStore) -> None:
    await answers.save(answer())
    for at in range(3):
        await answers.count_hit(answer().question_hash, at=at)
    await answers.count_hit(answer(2).question_hash, at=9)

    found = await answers.find(answer().question_hash)
    assert found is not None
    assert found.hits == 3


async def test_of_too_many_answers_those_go_that_were_asked_for_longest_ago(answers: AnswerStore) -> None:
    for number in range(1, 6):
        await answers.save(answer(number))
    await answers.count_hit(answer(1).question_hash, at=answer(9).created_at)

    await answers.prune(keep=5)
    assert await answers.find(answer(2).question_hash) is not None
    await answers.prune(keep=2)

    kept = [number for number in range(1, 6) if await answers.find(answer(number).question_hash) is not None]
    assert kept == [1, 5]


async def test_a_session_is_found_as_it_was_put_last(sessions: ExplanationSessionStore) -> None:
    assert await sessions.get("ana") is None

    await sessions.put(session(), seconds=60)
    await sessions.put(session(position=150), seconds=60)

    assert await sessions.get("ana") == session(position=150)
    assert await sessions.get("an") is None


async def test_a_session_that_is_forgotten_is_gone(sessions: ExplanationSessionStore) -> None:
    await sessions.put(session(), seconds=60)
    await sessions.forget("ana")
    await sessions.forget("ana")

    assert await sessions.get("ana") is None


async def test_a_session_is_gone_a_while_after_it_was_put(sessions: ExplanationSessionStore) -> None:
    await sessions.put(session(), seconds=60)
    await sessions.put(session(), seconds=0.01)
    await anyio.sleep(0.02)

    assert await sessions.get("ana") is None


async def test_each_time_it_is_put_it_lives_anew() -> None:
    now = 0
    sessions = MemoryExplanationSessions(now_ms=lambda: now)
    for _ in range(3):
        await sessions.put(session(), seconds=60)
        now += 59_000
        assert await sessions.get("ana") == session()
    now += 2_000

    assert await sessions.get("ana") is None


async def test_the_life_of_a_session_is_that_of_its_key(redis_url: str) -> None:
    async with RedisClient(SecretStr(redis_url)) as redis:
        sessions = RedisExplanationSessions(redis)
        await sessions.put(session(), seconds=5)
        await sessions.put(session(), seconds=1800)
        [key] = await redis.call(lambda client: client.keys("*"))
        left = await redis.call(lambda client: client.ttl(key))

    assert 1795 < left <= 1800
