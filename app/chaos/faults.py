"""What goes wrong, and when: decided by the seed before anything runs. Pure."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

Transport = Literal["websocket", "sse"]
RiderFault = Literal[
    "drop",  # the connection is reset in the middle of a turn
    "drop_at_send",  # it is reset right after the input was sent: nobody knows whether it arrived
    "drop_between",  # it is reset when the turn is over
    "move",  # the rider closes it while the turn runs, and goes on at another server
    "send_twice",  # the input is sent twice, under one message_id
    "barge_in",  # another input comes while the turn runs
    "slow",  # nothing is read for a while
    "cancel",
    "pause",  # and resumed
]
_SSE_FAULTS: tuple[RiderFault, ...] = ("drop", "drop_at_send", "drop_between", "move", "send_twice", "barge_in", "slow")
_FEWEST_PER_RIDER, _MOST_PER_RIDER = 4, 6
_LINES_BEFORE_THE_YES = 6
_SSE_SHARE = 0.3

GlobalFault = Literal[
    "kill_server",  # SIGKILL, and started again
    "terminate_server",  # SIGTERM, and started again
    "freeze_server",  # stopped for longer than its leases last, and let go on
    "pause_redis",
    "cut_redis",  # every client's connection is closed
    "restart_redis",  # killed, and started again with what it has on disk
    "pause_postgres",
    "cut_postgres",  # every client's connection is ended
    "restart_postgres",
    "fleet_trouble",  # it is slow, fails, answers twice
]
SERVER_FAULTS: frozenset[GlobalFault] = frozenset({"kill_server", "terminate_server", "freeze_server"})
POSTGRES_FAULTS: frozenset[GlobalFault] = frozenset({"pause_postgres", "cut_postgres", "restart_postgres"})
_SECONDS: dict[GlobalFault, tuple[float, float]] = {
    "kill_server": (0.5, 3.0),
    "terminate_server": (0.2, 1.0),
    "freeze_server": (6.0, 9.0),
    "pause_redis": (0.5, 8.0),
    "cut_redis": (0.0, 0.0),
    "restart_redis": (0.2, 1.0),
    "pause_postgres": (0.5, 6.0),
    "cut_postgres": (0.0, 0.0),
    "restart_postgres": (0.2, 1.0),
    "fleet_trouble": (3.0, 10.0),
}
_PAUSE_BETWEEN_SECONDS = (1.0, 5.0)


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """One fault of one rider."""

    kind: RiderFault
    after_frames: int
    """How much of the turn the rider has seen by then."""
    seconds: float
    """How long it lasts, where it lasts."""


@dataclass(frozen=True, slots=True)
class RiderPlan:
    """What one rider goes through."""

    transport: Transport
    lines: dict[int, PlannedFault]
    """By the number of the line that is said, counted from 0."""
    at_yes: PlannedFault | None
    """While the taxi is being ordered."""

    @property
    def count(self) -> int:
        """How many faults there are."""
        return len(self.lines) + (self.at_yes is not None)


@dataclass(frozen=True, slots=True)
class GlobalEvent:
    """One fault of a process that all riders share."""

    after_seconds: float
    """Since the one before was over."""
    kind: GlobalFault
    server: int
    """Which server, where it is one's."""
    seconds: float
    """How long it lasts, where it lasts."""


def plan_rider(seed: int, number: int) -> RiderPlan:
    """Return what a rider goes through: at least four faults, often one of them while the taxi is ordered."""
    chance = random.Random(f"{seed}:faults:{number}")  # noqa: S311 - a plan, not a secret
    transport: Transport = "sse" if chance.random() < _SSE_SHARE else "websocket"
    kinds = _SSE_FAULTS if transport == "sse" else get_args(RiderFault)

    def fault() -> PlannedFault:
        return PlannedFault(chance.choice(kinds), chance.randint(1, 15), round(chance.uniform(0.05, 0.6), 3))

    count = chance.randint(_FEWEST_PER_RIDER, _MOST_PER_RIDER)
    at_yes = fault() if chance.random() < 0.6 else None
    lines = sorted(chance.sample(range(_LINES_BEFORE_THE_YES), count - (at_yes is not None)))
    return RiderPlan(transport, {line: fault() for line in lines}, at_yes)


def plan_globals(seed: int, servers: int, *, without: frozenset[GlobalFault] = frozenset()) -> Iterator[GlobalEvent]:
    """Yield what happens to the processes, without end: all kinds in one order, then all in another.

    Args:
        seed: Decides it.
        servers: How many servers there are.
        without: Kinds that cannot happen here.
    """
    chance = random.Random(f"{seed}:processes")  # noqa: S311 - a plan, not a secret
    kinds = [kind for kind in get_args(GlobalFault) if kind not in without]
    while True:
        # Servers die oftenest, so they have two places in the pack.
        pack = [*kinds, *(kind for kind in kinds if kind in SERVER_FAULTS)]
        chance.shuffle(pack)
        for kind in pack:
            pause = chance.uniform(*_PAUSE_BETWEEN_SECONDS)
            server = chance.randrange(servers)
            yield GlobalEvent(round(pause, 3), kind, server, round(chance.uniform(*_SECONDS[kind]), 3))
