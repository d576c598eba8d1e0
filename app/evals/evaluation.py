"""Many conversations at once, and their figures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from urllib.parse import urlsplit, urlunsplit

import anyio
import httpx

from app.evals.conversation import Outcome, converse
from app.evals.scenario import Scenario

GOAL = 0.98
"""Share of the conversations that must end in exactly the right booking."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of a number of conversations."""

    kind: str
    count: int
    successes: int
    wrong_slots: int
    wrong_dispatches: int
    median_turns: float
    p50_ms: float
    p95_ms: float

    @property
    def success(self) -> float:
        """Share of conversations that ended in exactly the right bookings."""
        return self.successes / self.count if self.count else 0.0

    @property
    def is_good(self) -> bool:
        """Whether the goal is reached: enough right, and not one taxi sent wrongly."""
        return self.success >= GOAL and self.wrong_dispatches == 0


async def evaluate(
    url: str,
    scenarios: Sequence[Scenario],
    *,
    repeat: int = 1,
    seed: int = 0,
    concurrency: int = 8,
    turn_timeout: float = 60,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """Play scenarios against a server.

    Args:
        url: The server's WebSocket.
        scenarios: What to play.
        repeat: How often each is played.
        seed: Chooses the riders' words; the same seed, the same words.
        concurrency: Conversations at a time.
        turn_timeout: Seconds that an answer may take.
        on_outcome: Told of each conversation as it ends.

    Returns:
        The outcomes, scenario by scenario.
    """
    limiter = anyio.CapacityLimiter(concurrency)
    outcomes: dict[tuple[int, int], Outcome] = {}

    async def play(place: int, repetition: int) -> None:
        async with limiter:
            outcome = await converse(
                url, http, scenarios[place], repetition=repetition, seed=seed, turn_timeout=turn_timeout
            )
        outcomes[place, repetition] = outcome
        on_outcome(outcome)

    async with (
        httpx.AsyncClient(base_url=http_base(url), trust_env=False, timeout=30) as http,
        anyio.create_task_group() as group,
    ):
        for place in range(len(scenarios)):
            for repetition in range(repeat):
                group.start_soon(play, place, repetition)
    return [outcomes[key] for key in sorted(outcomes)]


def http_base(url: str) -> str:
    """Return the address of the HTTP routes beside a WebSocket."""
    parts = urlsplit(url)
    return urlunsplit(("https" if parts.scheme == "wss" else "http", parts.netloc, "", "", ""))


def figures(kind: str, outcomes: Sequence[Outcome]) -> Figures:
    """Return the figures of some conversations under a name."""
    times = sorted(turn.milliseconds for outcome in outcomes for turn in outcome.turns)
    return Figures(
        kind=kind,
        count=len(outcomes),
        successes=sum(outcome.verdict.success for outcome in outcomes),
        wrong_slots=sum(len(outcome.verdict.wrong_slots) for outcome in outcomes),
        wrong_dispatches=sum(len(outcome.verdict.wrong_dispatches) for outcome in outcomes),
        median_turns=median(outcome.turns_needed for outcome in outcomes) if outcomes else 0,
        p50_ms=_quantile(times, 0.5),
        p95_ms=_quantile(times, 0.95),
    )


def by_kind(outcomes: Sequence[Outcome]) -> list[Figures]:
    """Return the figures of each kind of rider, in the order of the scenarios."""
    kinds = dict.fromkeys(outcome.scenario.kind for outcome in outcomes)
    return [figures(kind, [each for each in outcomes if each.scenario.kind == kind]) for kind in kinds]


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
