"""Answers to questions: the saved one, or one that is generated, once for everybody who asks the same."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import anyio
import structlog
from anyio.abc import TaskGroup

from app.core import metrics
from app.core.clock import NowMs
from app.core.deadlines import store_deadline
from app.core.errors import AppError, Draining, ExplanationTimeout, Overloaded, StoreError, as_app_error
from app.engines.explainer.base import Explainer
from app.models.account import Caller
from app.models.explanations import Explanation, SavedAnswer
from app.services.fair_queue import FairQueue
from app.services.questions import Question
from app.services.rate_limits import RateLimits
from app.stores.base import AnswerStore, Lanes, lane_name

log = structlog.stdlib.get_logger("voztaxi.answers")

Tell = Callable[[int], Awaitable[None]]
"""Tells somebody who waits how many places there are before them; 0 is that their answer is being made."""


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """What generating may take."""

    at_once: int
    """Answers that this process generates at the same time."""
    max_waiting: int
    """Questions that may wait for that."""
    timeout: float
    """Seconds that one may take."""
    kept: int
    """Answers that are kept."""
    store: float
    """Seconds that a store may take."""


@dataclass(slots=True, eq=False)
class _Job:
    """An answer that is being generated, and who waits for it."""

    question: Question
    caller: Caller
    """Who asked first, and pays."""
    listeners: int = 0
    is_running: bool = False
    turn: anyio.Event = field(default_factory=anyio.Event)
    """Set when it may be generated."""
    done: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    answer: SavedAnswer | None = None
    failure: AppError = field(default_factory=Draining)
    """Why there is no answer."""


class AnswerService:
    """Finds answers and has them generated, open inside ``async with``.

    An answer that is being generated is finished and saved also where nobody waits for it any more: it has been
    paid for, and somebody will ask again.

    Args:
        explainer: Generates them.
        answers: Where they are kept.
        lanes: Says which process generates an answer.
        rates: Counts what is generated for whom.
        now_ms: The clock.
        limits: What it may take.
    """

    def __init__(
        self,
        *,
        explainer: Explainer,
        answers: AnswerStore,
        lanes: Lanes,
        rates: RateLimits,
        now_ms: NowMs,
        limits: AnswerLimits,
    ) -> None:
        self._explainer = explainer
        self._answers = answers
        self._lanes = lanes
        self._rates = rates
        self._now_ms = now_ms
        self._limits = limits
        self._jobs: dict[str, _Job] = {}
        self._queue: FairQueue[_Job] = FairQueue(limits.at_once)
        self._moved = anyio.Event()
        """Set, and made anew, when somebody's place may have changed."""
        self._tasks: TaskGroup = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        """Begin to generate."""
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Stop; what is being generated is lost."""
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, error, trace)

    async def find(self, question_hash: str) -> SavedAnswer | None:
        """Return a saved answer, or None.

        Raises:
            StoreError: It cannot be known now.
        """
        with store_deadline(self._limits.store):
            return await self._answers.find(question_hash)

    async def answer(self, question: Question, caller: Caller, tell: Tell) -> SavedAnswer:
        """Return the answer to a question, the saved one if there is one.

        Args:
            question: What is asked.
            caller: Who asks.
            tell: Called where the answer must be generated, at once and whenever its place changes.

        Raises:
            NoCredits: Nothing more is generated for the caller now.
            Overloaded: Too many questions wait.
            AgentError: It cannot be generated; nothing was counted.
            StoreError: It cannot be looked up or saved.
            Draining: The server stops.
        """
        saved = await self.find(question.question_hash)
        if saved is not None:
            metrics.EXPLANATION_ANSWERS.labels("hit").inc()
            self._tasks.start_soon(self._count_hit, question.question_hash)
            return saved
        metrics.EXPLANATION_ANSWERS.labels("miss").inc()
        if question.question_hash not in self._jobs:
            pending = sum(job.caller.account_id == caller.account_id for job in self._jobs.values())
            await self._rates.check_credit(caller, pending=pending)
        return await self._wait_for(self._job_of(question, caller), tell)

    def _job_of(self, question: Question, caller: Caller) -> _Job:
        job = self._jobs.get(question.question_hash)
        if job is None:
            if len(self._queue) >= self._limits.max_waiting:
                raise Overloaded
            job = self._jobs[question.question_hash] = _Job(question, caller)
            self._queue.add(caller.account_id or "", job)
            self._tasks.start_soon(self._run, job)
            self._begin_next()
        return job

    async def _wait_for(self, job: _Job, tell: Tell) -> SavedAnswer:
        job.listeners += 1
        told: int | None = None
        try:
            while not job.done.is_set():
                moved, place = self._moved, self._queue.places().get(job, 0)
                if place != told:
                    told = place
                    await tell(place)
                else:
                    await moved.wait()
        finally:
            job.listeners -= 1
            if not job.listeners and not job.is_running:
                self._forget(job)
                job.scope.cancel()
        if job.answer is None:
            raise job.failure
        return job.answer

    async def _run(self, job: _Job) -> None:
        """Have an answer made when it is its turn, and tell whoever waits."""
        try:
            with job.scope:
                await job.turn.wait()
                job.answer = await self._find_or_make(job)
        except Exception as error:
            job.failure = as_app_error(error)
            metrics.EXPLANATION_GENERATION_ERRORS.labels(job.failure.error_code).inc()
            log.warning("answer could not be generated", code=job.failure.error_code, exc_info=error)
        finally:
            self._forget(job)
            job.done.set()
            self._begin_next()

    async def _find_or_make(self, job: _Job) -> SavedAnswer:
        question_hash = job.question.question_hash
        async with self._lanes.take(lane_name("answer", question_hash)):
            # Somebody may have been faster, here or in another process.
            saved = await self.find(question_hash)
            if saved is not None:
                return saved
            job.is_running = True
            explanation = await self._explain(job.question)
            with store_deadline(self._limits.store):
                saved = await self._answers.save(self._as_answer(job.question, explanation))
        await self._rates.spend_credit(job.caller)
        await self._prune()
        return saved

    async def _explain(self, question: Question) -> Explanation:
        with metrics.EXPLANATION_GENERATION_SECONDS.time(), metrics.EXPLANATIONS_GENERATING.track_inprogress():
            try:
                with anyio.fail_after(self._limits.timeout):
                    return await self._explainer.explain(question.text, question.context)
            except TimeoutError as error:
                raise ExplanationTimeout from error

    def _as_answer(self, question: Question, explanation: Explanation) -> SavedAnswer:
        return SavedAnswer(
            question_hash=question.question_hash,
            question=question.text,
            normalised=question.normalised,
            explanation=explanation,
            model=self._explainer.name,
            created_at=self._now_ms(),
        )

    def _begin_next(self) -> None:
        """Let those begin whose turn it is, and wake everybody who waits."""
        while (job := self._queue.begin()) is not None:
            job.turn.set()
        metrics.QUESTIONS_WAITING.set(len(self._queue))
        moved, self._moved = self._moved, anyio.Event()
        moved.set()

    def _forget(self, job: _Job) -> None:
        """Let whoever asks from now on begin anew."""
        self._queue.end(job)
        if self._jobs.get(job.question.question_hash) is job:
            del self._jobs[job.question.question_hash]

    async def _prune(self) -> None:
        try:
            with store_deadline(self._limits.store):
                await self._answers.prune(keep=self._limits.kept)
        except StoreError as error:
            log.warning("old answers could not be forgotten", exc_info=error)

    async def _count_hit(self, question_hash: str) -> None:
        try:
            with store_deadline(self._limits.store):
                await self._answers.count_hit(question_hash, at=self._now_ms())
        except StoreError as error:
            log.warning("a hit was not counted", exc_info=error)
