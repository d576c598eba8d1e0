"""Explanations over the real services: asked, generated once, told, paused and resumed, wherever the user is."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup

from app.api.deps import Services
from app.bootstrap import open_services
from app.core.errors import ModelError, StoreError, as_app_error
from app.models.account import Caller
from app.models.explanations import (
    CanvasInstruction,
    ContentChunk,
    Explanation,
    ExplanationError,
    ExplanationSession,
    ResumePlace,
    SentEvent,
    Step,
    StreamingPaused,
    StreamingResumed,
)
from app.services.explanations import Work
from app.stores.memory import MemoryExplanationSessions
from tests.desk import make_settings, make_stores

pytestmark = pytest.mark.integration

CONTENTS = ("Se cobra la **mínima** de $8.000 pesos. " * 12, "La fórmula $a+b$ 👩‍👩‍👧 y nada más. " * 9)
EXPLANATION = Explanation(
    steps=tuple(
        Step(title=f"Paso {number}", content=content, canvas_commands=(CanvasInstruction(at=60),))
        for number, content in enumerate(CONTENTS, 1)
    ),
    total_duration=9,
)
QUESTION = "¿Cuánto cuesta?"
FAST = {"explanation_chunk_delay_ms": 1}
SLOW = {"explanation_chunk_delay_ms": 60}


class FakeExplainer:
    """Explains when it is let, or fails."""

    name = "fake"

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.let_go = anyio.Event()
        self.let_go.set()
        self.came = anyio.Event()
        self.failures: list[Exception] = []

    def hold(self) -> None:
        self.let_go = anyio.Event()

    async def explain(self, question: str, context: Mapping[str, Any]) -> Explanation:
        self.asked.append((question, context))
        self.came.set()
        await self.let_go.wait()
        if self.failures:
            raise self.failures.pop()
        return EXPLANATION


class Client:
    """A connection of a user, as the Socket.IO handlers have it."""

    def __init__(self, services: Services, user: str, connection_id: str, tasks: TaskGroup) -> None:
        self.explanations = services.explanations
        self.caller = Caller(account_id=user)
        self.connection_id = connection_id
        self.events: list[SentEvent] = []
        self.reads = anyio.Event()
        self.reads.set()
        self._tasks = tasks
        self._scopes: list[anyio.CancelScope] = []
        self._news = anyio.Event()

    async def ask(self, question: object = QUESTION, context: object = None) -> None:
        await self._start(self.explanations.ask(self.caller, self.connection_id, question, context, self.emit))

    async def resume(self, **place: Any) -> None:
        where = ResumePlace(**place) if place else None
        await self._start(self.explanations.resume(self.caller, self.connection_id, where, self.emit))

    async def pause(self) -> None:
        try:
            await self.explanations.pause(self.caller, self.connection_id, self.emit)
        except Exception as error:
            await self._complain(error)

    async def emit(self, event: SentEvent) -> None:
        await self.reads.wait()
        self.events.append(event)
        self._news.set()

    async def until(self, kind: str, times: int = 1) -> None:
        """Wait until so many events of a kind have come."""
        while self.kinds.count(kind) < times:
            self._news = anyio.Event()
            await self._news.wait()

    @property
    def kinds(self) -> list[str]:
        return [event.type for event in self.events]

    @property
    def codes(self) -> list[str]:
        return [event.code for event in self.events if isinstance(event, ExplanationError)]

    def leave(self) -> None:
        """Lose the connection."""
        for scope in self._scopes:
            scope.cancel()

    async def _start(self, asked: Any) -> None:
        try:
            work: Work = await asked
        except Exception as error:
            await self._complain(error)
            return

        async def guarded() -> None:
            with anyio.CancelScope() as scope:
                self._scopes.append(scope)
                try:
                    await work()
                except Exception as error:
                    await self._complain(error)

        self._tasks.start_soon(guarded)

    async def _complain(self, error: Exception) -> None:
        reason = as_app_error(error)
        assert reason.error_code != "internal_error", repr(error.__cause__ or error)
        await self.emit(ExplanationError(code=reason.error_code, message=reason.message))


@asynccontextmanager
async def client(services: Services, user: str = "ana", connection_id: str = "c-1") -> AsyncIterator[Client]:
    async with anyio.create_task_group() as tasks:
        yield Client(services, user, connection_id, tasks)
        tasks.cancel_scope.cancel()


@pytest.fixture
def explainer() -> FakeExplainer:
    return FakeExplainer()


@asynccontextmanager
async def serving(explainer: FakeExplainer, **settings: Any) -> AsyncIterator[Services]:
    chosen = make_settings(**{**FAST, **settings})
    async with open_services(chosen, stores=make_stores(), explainer=explainer) as services:
        yield services


@asynccontextmanager
async def two_processes(
    explainer: FakeExplainer, redis_url: str, folder: Path, **settings: Any
) -> AsyncIterator[Sequence[Services]]:
    """Serve twice, over one database and one Redis."""
    url = f"sqlite+aiosqlite:///{folder}/voztaxi.db"
    chosen = make_settings(**{"database_url": url, "redis_url": redis_url, **SLOW, **settings})
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_services(chosen, explainer=explainer)) for _ in range(2)]


def told(*clients: Client) -> list[str]:
    """Return the contents that the chunks make, which must follow one another without a gap."""
    contents = ["", ""]
    for each in clients:
        for event in each.events:
            if isinstance(event, ContentChunk):
                assert event.position == len(contents[event.step - 1]), "exactly the rest"
                contents[event.step - 1] += event.chunk
    return contents


WHOLE = [CONTENTS[0], CONTENTS[1]]


async def test_an_answer_is_generated_and_told(explainer: FakeExplainer) -> None:
    async with serving(explainer) as services, client(services) as ana:
        await ana.ask(context={"language": "es"})
        await ana.until("explanation_complete")

    assert told(ana) == WHOLE
    assert [kind for kind in ana.kinds if kind != "content_chunk"] == [
        "waiting_phrase",
        "explanation_start",
        *["step_start", "canvas_command", "step_complete"] * 2,
        "explanation_complete",
    ]
    assert explainer.asked == [(QUESTION, {"language": "es"})]


async def test_a_saved_answer_is_told_at_once_and_another_context_is_another_question(explainer: FakeExplainer) -> None:
    async with serving(explainer) as services, client(services) as ana, client(services, "beto", "c-2") as beto:
        await ana.ask()
        await ana.until("explanation_complete")
        await beto.ask("cuanto  CUESTA")
        await beto.until("explanation_complete")
        await beto.ask(context={"city": "Soledad"})
        await beto.until("explanation_complete", 2)

    assert beto.kinds[0] == "explanation_start"
    assert len(explainer.asked) == 2


async def test_who_asks_the_same_at_once_is_answered_by_one_generation(explainer: FakeExplainer) -> None:
    explainer.hold()
    async with serving(explainer) as services, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client(services, f"user-{n}", f"c-{n}")) for n in range(5)]
        for each in clients:
            await each.ask()
        for each in clients:
            await each.until("waiting_phrase")
        clients[0].leave()
        explainer.let_go.set()
        for each in clients[1:]:
            await each.until("explanation_complete")

    assert len(explainer.asked) == 1
    assert all(told(each) == WHOLE for each in clients[1:])


async def test_processes_generate_an_answer_once(explainer: FakeExplainer, redis_url: str, tmp_path: Path) -> None:
    explainer.hold()
    async with (
        two_processes(explainer, redis_url, tmp_path, **FAST) as (here, there),
        client(here) as ana,
        client(there, "beto", "c-2") as beto,
    ):
        await ana.ask()
        await explainer.came.wait()
        await beto.ask()
        await beto.until("waiting_phrase")
        explainer.let_go.set()
        for each in (ana, beto):
            await each.until("explanation_complete")

    assert len(explainer.asked) == 1
    assert told(ana) == told(beto) == WHOLE


async def test_who_waits_is_told_of_every_place_in_their_language(explainer: FakeExplainer) -> None:
    explainer.hold()
    async with serving(explainer, explanations_at_once=1) as services, AsyncExitStack() as stack:
        first, second, third = [
            await stack.enter_async_context(client(services, f"user-{n}", f"c-{n}")) for n in range(3)
        ]
        await first.ask("uno")
        await explainer.came.wait()
        await second.ask("dos", {"language": "en"})
        await third.ask("tres")
        await third.until("waiting_phrase")
        second.leave()
        await third.until("waiting_phrase", 2)
        explainer.let_go.set()
        await third.until("explanation_start")

        phrases = [[each.message for each in one.events if each.type == "waiting_phrase"] for one in (second, third)]  # type: ignore[union-attr]
        assert phrases == [
            ["Your question is next…"],
            [
                "Hay una pregunta antes de la tuya…",
                "Tu pregunta es la siguiente…",
                "Estoy preparando la explicación…",
            ],
        ]
    assert [question for question, _ in explainer.asked] == ["uno", "tres"], "who left is not answered"


async def test_an_answer_that_cannot_be_generated_is_an_error_and_costs_nothing(explainer: FakeExplainer) -> None:
    explainer.failures = [ModelError()]
    async with serving(explainer, explanation_credits="1/day") as services, client(services) as ana:
        await ana.ask()
        await ana.until("error")
        await ana.ask()
        await ana.until("explanation_complete")
        await ana.ask("otra cosa")
        await ana.until("error", 2)
        await ana.ask()
        await ana.until("explanation_complete", 2)

    assert ana.codes == ["model_error", "no_credits"]


async def test_a_model_that_hangs_is_given_up(explainer: FakeExplainer) -> None:
    explainer.hold()
    async with serving(explainer, explanation_timeout_seconds=0.05) as services, client(services) as ana:
        await ana.ask()
        await ana.until("error")
        assert ana.codes == ["explanation_timeout"]
        explainer.let_go.set()
        await ana.ask()
        await ana.until("explanation_complete")


async def test_an_answer_that_was_begun_is_saved_though_nobody_waits(explainer: FakeExplainer) -> None:
    explainer.hold()
    async with serving(explainer) as services:
        async with client(services) as ana:
            await ana.ask()
            await explainer.came.wait()
        async with client(services, connection_id="c-2") as again:
            await again.ask()
            await again.until("waiting_phrase")
            explainer.let_go.set()
            await again.until("explanation_complete")

    assert len(explainer.asked) == 1


async def test_too_many_questions_are_refused(explainer: FakeExplainer) -> None:
    async with serving(explainer, rate_limit_questions="2/minute") as services, client(services) as ana:
        for _ in range(3):
            await ana.ask()
        await ana.until("explanation_complete")

    assert ana.codes == ["rate_limited"]


async def test_more_questions_than_may_wait_are_refused(explainer: FakeExplainer) -> None:
    explainer.hold()
    async with (
        serving(explainer, explanations_at_once=1, max_waiting_questions=1) as services,
        AsyncExitStack() as all_,
    ):
        clients = [await all_.enter_async_context(client(services, f"user-{n}", f"c-{n}")) for n in range(3)]
        for number, each in enumerate(clients):
            await each.ask(f"pregunta {number}")
            await each.until("error" if number == 2 else "waiting_phrase")

        assert clients[2].codes == ["overloaded"]


@pytest.mark.parametrize(
    ("question", "context", "code"),
    [
        ("", None, "empty_question"),
        (" ¿? ", None, "empty_question"),
        ("a" * 5000, None, "text_too_long"),
        (7, None, "invalid_question"),
        ("a", [1], "invalid_context"),
    ],
)
async def test_what_is_no_question_is_refused_and_what_is_told_goes_on(
    question: object, context: object, code: str, explainer: FakeExplainer
) -> None:
    async with serving(explainer) as services, client(services) as ana:
        await ana.ask()
        await ana.until("content_chunk")
        await ana.ask(question, context)
        await ana.until("explanation_complete")

    assert ana.codes == [code]
    assert told(ana) == WHOLE


# Pausing and resuming.


async def test_a_paused_explanation_is_resumed_at_the_exact_character(explainer: FakeExplainer) -> None:
    async with serving(explainer, explanation_chunk_delay_ms=10) as services, client(services) as ana:
        await ana.ask()
        for number in (1, 2, 3):
            await ana.until("content_chunk", number * 4)
            await ana.pause()
            await ana.until("streaming_paused", number)
            chunks = ana.kinds.count("content_chunk")
            await anyio.sleep(0.03)
            assert ana.kinds.count("content_chunk") == chunks
            await ana.resume()
            await ana.until("streaming_resumed", number)
        await ana.until("explanation_complete")

    assert told(ana) == WHOLE
    assert (ana.kinds.count("streaming_paused"), ana.kinds.count("streaming_resumed")) == (3, 3)
    assert ana.kinds.count("canvas_command") == 2
    assert not ana.codes


async def test_pausing_and_resuming_without_waiting_says_both_once(explainer: FakeExplainer) -> None:
    async with serving(explainer, **SLOW) as services, client(services) as ana:
        await ana.ask()
        await ana.until("content_chunk")
        await ana.pause()
        await ana.resume()
        await ana.pause()
        await ana.resume()
        await ana.until("explanation_complete")

    assert told(ana) == WHOLE
    steering = [event for event in ana.events if isinstance(event, StreamingPaused | StreamingResumed)]
    assert [event.type for event in steering] == ["streaming_paused", "streaming_resumed"] * 2
    assert not ana.codes


async def test_what_cannot_be_paused_or_resumed_is_an_error(explainer: FakeExplainer) -> None:
    async with serving(explainer, explanation_chunk_delay_ms=10) as services, client(services) as ana:
        await ana.pause()
        await ana.resume()
        await ana.resume(question_hash="0" * 64, step=1, position=0)
        await ana.ask()
        await ana.until("content_chunk")
        await ana.resume()
        await ana.pause()
        await ana.pause()
        await ana.until("streaming_paused")
        await ana.pause()
        await ana.resume(question_hash="0" * 64)
        await ana.resume(step=3, position=0)
        await ana.resume(position=100_000)
        await ana.resume()
        await ana.until("explanation_complete")
        await ana.pause()
        await ana.resume()

        assert ana.codes == [
            "not_streaming", "nothing_to_resume", "session_expired", "not_paused", "already_paused", "already_paused",
            "foreign_answer", "invalid_place", "invalid_place", "not_streaming", "nothing_to_resume",
        ]  # fmt: skip
    assert told(ana) == WHOLE


async def test_while_an_answer_is_generated_nothing_can_be_paused_or_resumed(explainer: FakeExplainer) -> None:
    explainer.hold()
    async with serving(explainer) as services, client(services) as ana, client(services, connection_id="c-2") as other:
        await ana.ask()
        await ana.until("waiting_phrase")
        await ana.pause()
        await ana.resume()
        await other.pause()
        await other.resume()
        explainer.let_go.set()
        await ana.until("explanation_complete")

    assert ana.codes == ["not_streaming", "not_paused"]
    assert other.codes == ["not_streaming", "nothing_to_resume"]


async def test_a_session_that_ran_out_cannot_be_resumed(explainer: FakeExplainer) -> None:
    async with serving(explainer, explanation_session_seconds=0.05, **SLOW) as services, client(services) as ana:
        await ana.ask()
        await ana.until("content_chunk")
        await ana.pause()
        await ana.until("streaming_paused")
        await anyio.sleep(0.1)
        await ana.resume(question_hash="0" * 64)
        await ana.resume()

    assert ana.codes == ["session_expired", "nothing_to_resume"]


async def test_a_second_question_takes_the_place_of_the_first(explainer: FakeExplainer) -> None:
    async with serving(explainer, **SLOW) as services, client(services) as ana:
        await ana.ask("la primera")
        await ana.until("content_chunk", 2)
        await ana.ask("la segunda")
        await ana.until("explanation_start", 2)
        began = len(ana.events)
        await ana.pause()
        await ana.until("streaming_paused")
        await ana.resume()
        await ana.until("explanation_complete")

    ana.events = ana.events[began - 1 :]
    assert told(ana) == WHOLE
    assert ana.kinds.count("explanation_complete") == 1
    assert not ana.codes


async def test_a_connection_that_is_lost_leaves_the_explanation_paused_for_the_next(explainer: FakeExplainer) -> None:
    async with serving(explainer, **SLOW) as services, client(services, connection_id="c-2") as again:
        async with client(services) as ana:
            await ana.ask()
            await ana.until("content_chunk", 3)
        await again.pause()
        assert again.codes == ["already_paused"]
        await again.resume()
        await again.until("explanation_complete")

    assert told(ana, again) == WHOLE


async def test_who_says_what_they_have_is_told_exactly_the_rest(explainer: FakeExplainer) -> None:
    async with serving(explainer, **SLOW) as services, client(services, connection_id="c-2") as again:
        async with client(services) as ana:
            await ana.ask()
            await ana.until("content_chunk", 4)
        ana.events = ana.events[:-2]  # these were lost with the connection
        await again.resume(step=1, position=len(told(ana)[0]))
        await again.until("explanation_complete")

    assert told(ana, again) == WHOLE


async def test_the_end_is_told_again_to_who_lost_the_connection_before_it_came(explainer: FakeExplainer) -> None:
    async with serving(explainer) as services, client(services) as ana, client(services, connection_id="c-2") as again:
        await ana.ask()
        await ana.until("explanation_complete")
        await again.resume()
        await again.until("error")
        question_hash = next(event.question_hash for event in ana.events if event.type == "explanation_start")  # type: ignore[union-attr]
        ana.events = ana.events[:-6]
        await again.resume(question_hash=question_hash, step=2, position=len(told(ana)[1]))
        await again.until("explanation_complete")

    assert told(ana, again) == WHOLE
    assert again.codes == ["nothing_to_resume"]


async def test_another_connection_of_the_user_takes_over_what_runs(explainer: FakeExplainer) -> None:
    async with (
        serving(explainer, **SLOW) as services,
        client(services) as ana,
        client(services, connection_id="c-2") as b,
    ):
        await ana.ask()
        await ana.until("content_chunk", 3)
        await b.resume()
        await b.until("explanation_complete")
        await ana.until("error")

    assert told(ana, b) == WHOLE
    assert ana.codes == ["taken_over"]
    assert not b.codes


async def test_another_connection_of_the_user_pauses_what_runs(explainer: FakeExplainer) -> None:
    async with (
        serving(explainer, **SLOW) as services,
        client(services) as ana,
        client(services, connection_id="c-2") as b,
    ):
        await ana.ask()
        await ana.until("content_chunk", 3)
        await b.pause()
        assert ana.kinds[-1] == "streaming_paused"
        await ana.resume()
        await ana.until("explanation_complete")

    assert told(ana) == WHOLE
    assert b.kinds == ["streaming_paused"]
    assert ana.kinds.count("streaming_paused") == 1


async def test_users_do_not_disturb_each_other(explainer: FakeExplainer) -> None:
    async with serving(explainer, **SLOW) as services, client(services) as ana, client(services, "beto", "c-2") as beto:
        await ana.ask()
        await ana.until("content_chunk")
        await beto.pause()
        await beto.resume()
        await beto.ask()
        await ana.until("explanation_complete")
        await beto.until("explanation_complete")

    assert told(ana) == told(beto) == WHOLE
    assert (ana.codes, beto.codes) == ([], ["not_streaming", "nothing_to_resume"])


async def test_another_process_takes_over_what_runs(explainer: FakeExplainer, redis_url: str, tmp_path: Path) -> None:
    async with (
        two_processes(explainer, redis_url, tmp_path) as (here, there),
        client(here) as ana,
        client(there, connection_id="c-2") as b,
    ):
        await ana.ask()
        await ana.until("content_chunk", 3)
        await b.resume()
        await b.until("content_chunk", 3)
        await ana.until("error")
        await ana.resume()
        await ana.until("explanation_complete")

    first = [event for event in ana.events[: ana.kinds.index("streaming_resumed")] if event.type == "content_chunk"]
    second = [event for event in ana.events[ana.kinds.index("streaming_resumed") :] if event.type == "content_chunk"]
    contents = ["", ""]
    for event in (*first, *(each for each in b.events if each.type == "content_chunk"), *second):
        assert isinstance(event, ContentChunk)
        assert event.position == len(contents[event.step - 1])
        contents[event.step - 1] += event.chunk
    assert contents == WHOLE
    assert ana.codes == b.codes == ["taken_over"]


async def test_another_process_pauses_and_resumes(explainer: FakeExplainer, redis_url: str, tmp_path: Path) -> None:
    async with (
        two_processes(explainer, redis_url, tmp_path) as (here, there),
        client(here) as ana,
        client(there, connection_id="c-2") as b,
    ):
        await ana.ask()
        await ana.until("content_chunk", 3)
        await b.pause()
        await ana.until("streaming_paused")
        await b.pause()
        await b.resume()
        await b.until("explanation_complete")

    assert told(ana, b) == WHOLE
    assert b.codes == ["already_paused"]
    assert (ana.kinds.count("streaming_paused"), b.kinds.count("streaming_paused")) == (1, 1)
    assert not ana.codes


async def test_a_question_in_another_process_takes_the_place_of_what_runs(
    explainer: FakeExplainer, redis_url: str, tmp_path: Path
) -> None:
    async with (
        two_processes(explainer, redis_url, tmp_path) as (here, there),
        client(here) as ana,
        client(there, connection_id="c-2") as b,
    ):
        await ana.ask()
        await ana.until("content_chunk", 3)
        await b.ask("otra")
        await ana.until("error")
        await b.until("explanation_complete")

    assert told(b) == WHOLE
    assert ana.codes == ["taken_over"]
    assert "explanation_complete" not in ana.kinds


async def test_what_takes_the_place_of_something_in_the_same_process_is_not_stopped_itself(
    explainer: FakeExplainer, redis_url: str, tmp_path: Path
) -> None:
    async with two_processes(explainer, redis_url, tmp_path) as (here, _), client(here) as ana:
        await ana.ask("la primera")
        await ana.until("content_chunk", 3)
        await ana.ask("la segunda")
        await ana.until("explanation_start", 2)
        began = len(ana.events)
        await ana.until("explanation_complete")

    assert not ana.codes
    ana.events = ana.events[began - 1 :]
    assert told(ana) == WHOLE


# Slow clients and stores that fail.


async def test_a_client_that_reads_nothing_for_a_while_is_sent_no_more_meanwhile(explainer: FakeExplainer) -> None:
    async with serving(explainer) as services, client(services) as ana:
        await ana.ask()
        await ana.until("content_chunk", 2)
        ana.reads = anyio.Event()
        await anyio.sleep(0.1)
        held = len(ana.events)
        ana.reads.set()
        await ana.until("explanation_complete")

    assert told(ana) == WHOLE
    sizes = [len(event.chunk) for event in ana.events[held + 1 :] if isinstance(event, ContentChunk)]
    assert max(sizes) > 50, "what comes then comes in longer pieces"


class FailingSessions(MemoryExplanationSessions):
    """Sessions that cannot be written from some moment on."""

    fails = False

    async def put(self, session: ExplanationSession, *, seconds: float) -> None:
        if self.fails:
            raise StoreError
        await super().put(session, seconds=seconds)


async def test_an_explanation_is_told_on_though_its_place_cannot_be_written(explainer: FakeExplainer) -> None:
    sessions = FailingSessions()
    stores = make_stores()
    object.__setattr__(stores, "explanation_sessions", sessions)
    async with (
        open_services(make_settings(**FAST), stores=stores, explainer=explainer) as services,
        client(services) as ana,
    ):
        await ana.ask()
        await ana.until("content_chunk")
        sessions.fails = True
        await ana.until("explanation_complete")
        await ana.ask()
        await ana.until("error")

    assert told(ana) == WHOLE
    assert ana.codes == ["store_failed"]


async def test_the_session_says_where_the_user_is(explainer: FakeExplainer) -> None:
    stores = make_stores()
    async with (
        open_services(make_settings(**SLOW), stores=stores, explainer=explainer) as services,
        client(services) as ana,
    ):
        await ana.ask()
        await ana.until("content_chunk", 2)
        await ana.pause()
        await ana.until("streaming_paused")
        session = await stores.explanation_sessions.get("ana")
        assert session is not None
        assert (session.current_step, session.pause_position) == (1, len(told(ana)[0]))
        assert (session.is_streaming, session.is_paused, session.connection_id) == (True, True, "c-1")
        await ana.resume()
        await ana.until("explanation_complete")
        session = await stores.explanation_sessions.get("ana")
        assert session is not None
        assert (session.is_streaming, session.is_paused) == (False, False)
