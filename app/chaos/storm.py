"""A whole run: start everything, warm up, let the storm pass, wait until it is quiet, and look."""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import anyio
import structlog
from anyio import to_thread
from pydantic import SecretStr

from app.bootstrap import migrate
from app.chaos.audit import ThreadEvidence, audit
from app.chaos.evidence import collect, lanes_held, settle
from app.chaos.faults import POSTGRES_FAULTS, GlobalFault, RiderPlan, plan_globals, plan_rider
from app.chaos.fleet import Fleet, fleet_settings, running_fleet
from app.chaos.links import HttpClients
from app.chaos.nemesis import Happened, Nemesis
from app.chaos.observation import Finding
from app.chaos.personas import make_rider, plan_wish
from app.chaos.rider import Rider
from app.chaos.servers import Cluster, Usage, running_cluster
from app.chaos.services import Postgres, Redis, free_port, run_postgres, run_redis
from app.core.config import Settings

log = structlog.stdlib.get_logger("voztaxi.chaos")

_WORD_DELAY_MS = 5
_WARM_RIDERS_PER_SERVER = 12
_SETTLE_SECONDS = 60.0
_BASELINE_SECONDS = 30.0
_ARRIVALS_PER_SECOND = 100.0
_CATCHING_UP_AT_ONCE = 16
TASKS_TOLERANCE = 2
FILES_TOLERANCE = 48
"""Connections to stores stay open in their pools: up to 32 to Redis and 2 times 10 to Postgres, of which some are
open when the baseline is taken."""
MEMORY_TOLERANCE_MB = 120.0
"""What Python and its allocator keep after a peak."""


@dataclass(frozen=True, slots=True)
class StormOptions:
    """What kind of run it is."""

    riders: int
    seed: int
    servers: int = 3
    talking: int = 48
    """Riders in the middle of their conversation at a time."""
    minutes: float = 12.0
    """Within this time the last taxi must have been ordered."""
    database: Literal["postgres", "sqlite"] = "postgres"
    calm: bool = False
    """Only the riders' own faults: no process is touched."""


@dataclass(slots=True)
class Aftermath:
    """What a run left."""

    options: StormOptions
    seconds: float = 0.0
    storm_seconds: float = 0.0
    started_at: float = 0.0
    """``time.perf_counter`` of the storm's beginning."""
    evidence: list[ThreadEvidence] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    happened: list[Happened] = field(default_factory=list)
    baseline: list[Usage] = field(default_factory=list)
    after: list[Usage] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    lags_ms: list[float] = field(default_factory=list)
    """How late this process itself was, every 50 ms: what riders measure has this in it."""
    logs: Path | None = None
    """Where the logs of the servers are kept, if something was found."""


def run_storm(options: StormOptions, say: Callable[[str], None] = lambda _: None) -> Aftermath:
    """Run one storm; return what it left.

    Args:
        options: What kind of run.
        say: Told how far it has got.

    Raises:
        ServiceMissing: PostgreSQL or Redis is not installed.
    """
    started = time.perf_counter()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    folder = Path(tempfile.mkdtemp(prefix="voztaxi-chaos-"))
    outcome = Aftermath(options)
    try:
        with ExitStack() as stack:
            redis = stack.enter_context(run_redis())
            postgres: Postgres | None = None
            database = f"sqlite+aiosqlite:///{folder}/chaos.db"
            if options.database == "postgres":
                postgres = stack.enter_context(run_postgres())
                database = stack.enter_context(postgres.new_database())
            fleet_port = free_port()
            env = {
                "DATABASE_URL": database,
                "REDIS_URL": redis.url,
                "LLM": "offline",
                "OFFLINE_WORD_DELAY_MS": str(_WORD_DELAY_MS),
                **fleet_settings(fleet_port),
            }
            settings = Settings(_env_file=None, database_url=database, redis_url=SecretStr(redis.url), llm="offline")
            anyio.run(migrate, settings)
            cluster = stack.enter_context(running_cluster(folder, options.servers, env))
            webhook = f"{cluster.servers[0].url}/api/v1/dispatch/webhook"
            running = running_fleet(folder / "fleet", cluster.env, port=fleet_port, webhook=webhook, seed=options.seed)
            fleet = stack.enter_context(running)
            storm = _Storm(options, outcome, settings, cluster, redis, postgres, fleet, say)
            anyio.run(storm.run, backend_options={"use_uvloop": True})
        outcome.seconds = time.perf_counter() - started
        if outcome.findings:
            outcome.logs = folder
        return outcome
    finally:
        if outcome.logs is None:
            shutil.rmtree(folder, ignore_errors=True)


class _Storm:
    """One run, inside the event loop."""

    def __init__(
        self,
        options: StormOptions,
        outcome: Aftermath,
        settings: Settings,
        cluster: Cluster,
        redis: Redis,
        postgres: Postgres | None,
        fleet: Fleet,
        say: Callable[[str], None],
    ) -> None:
        self._options = options
        self._outcome = outcome
        self._settings = settings
        self._cluster = cluster
        self._fleet = fleet
        self._say = say
        self._nemesis = Nemesis(cluster, redis, postgres, fleet)
        absent = frozenset[GlobalFault]() if postgres else POSTGRES_FAULTS
        self._plan = plan_globals(options.seed, options.servers, without=absent)
        self._talked = 0

    async def run(self) -> None:
        """Do all of it."""
        outcome, options = self._outcome, self._options
        async with HttpClients() as http, anyio.create_task_group() as tasks:
            tasks.start_soon(self._measure_lag)
            self._say("warming up")
            calm = RiderPlan("websocket", {}, None)
            warm = [
                self._rider(http, -1 - number, calm, [port])
                for port in self._cluster.ports
                for number in range(_WARM_RIDERS_PER_SERVER)
            ]
            await self._talk(warm, storm=False)
            await settle(self._settings, self._fleet, timeout=_SETTLE_SECONDS)
            await anyio.sleep(1)
            outcome.baseline = await to_thread.run_sync(self._cluster.usage)

            self._say("the storm begins")
            outcome.started_at = time.perf_counter()
            riders = [
                self._rider(http, number, plan_rider(options.seed, number), self._cluster.ports)
                for number in range(options.riders)
            ]
            await self._talk(riders, storm=True)
            outcome.storm_seconds = time.perf_counter() - outcome.started_at
            outcome.happened = self._nemesis.happened

            self._say("the storm is over")
            if not await settle(self._settings, self._fleet, timeout=_SETTLE_SECONDS):
                outcome.findings.append(Finding("turns_unclosed", "", "something was still open after a minute"))
            await self._catch_up(riders)
            outcome.evidence = [ThreadEvidence(each.log, plan_wish(options.seed, each.log.number)) for each in riders]
            self._say("reading everything again")
            await collect(outcome.evidence, self._settings, [each.url for each in self._cluster.servers], self._fleet)
            for each in outcome.evidence:
                outcome.findings += audit(each)
            await self._look_at_processes()
            tasks.cancel_scope.cancel()

    async def _talk(self, riders: Sequence[Rider], *, storm: bool) -> None:
        """Let riders talk until each has done so, while everything breaks or nothing does."""
        self._talked = 0
        everybody, over = anyio.Event(), anyio.Event()
        talking = anyio.CapacityLimiter(self._options.talking)
        deadline = anyio.current_time() + self._options.minutes * 60

        def done() -> None:
            self._talked += 1
            if self._talked == len(riders):
                everybody.set()

        async with anyio.create_task_group() as tasks:
            async with anyio.create_task_group() as helpers:
                if storm:
                    helpers.start_soon(self._nemesis.watch)
                    helpers.start_soon(self._tell, len(riders))
                    if not self._options.calm:
                        helpers.start_soon(self._nemesis.run, self._plan)
                for rider in riders:
                    tasks.start_soon(rider.run, talking, done, over, deadline)
                    await anyio.sleep(1 / _ARRIVALS_PER_SECOND)
                await everybody.wait()
                helpers.cancel_scope.cancel()
            if storm:
                await self._nemesis.mend()
            over.set()

    async def _catch_up(self, riders: Sequence[Rider]) -> None:
        limiter = anyio.CapacityLimiter(_CATCHING_UP_AT_ONCE)

        async def catch_up(rider: Rider) -> None:
            async with limiter:
                await rider.catch_up()

        async with anyio.create_task_group() as tasks:
            for rider in riders:
                tasks.start_soon(catch_up, rider)

    async def _look_at_processes(self) -> None:
        """Wait until the servers hold no more than before, for a while; note what is over."""
        outcome = self._outcome
        with anyio.move_on_after(_BASELINE_SECONDS):
            while True:
                lanes = await lanes_held(self._settings)
                outcome.after = await to_thread.run_sync(self._cluster.usage)
                found = [Finding("lanes_left", "", key) for key in lanes]
                found += over_baseline(outcome.baseline, outcome.after)
                if not found:
                    break
                await anyio.sleep(1)
        outcome.findings += found
        outcome.findings += [Finding("crashes", "", what) for what in self._nemesis.crashes]
        outcome.findings += [Finding("stops_refused", "", what) for what in self._nemesis.refused_stops]
        outcome.starts = [server.starts for server in self._cluster.servers]

    def _rider(self, http: HttpClients, number: int, plan: RiderPlan, ports: Sequence[int]) -> Rider:
        seed = self._options.seed
        thread_id = f"chaos-{seed}-{number}" if number >= 0 else f"warm-{ports[0]}{number}"
        return Rider(
            number=number,
            thread_id=thread_id,
            plan=plan,
            mind=make_rider(plan_wish(seed, number), seed, number),
            ports=ports,
            http=http,
            seed=f"{seed}:{thread_id}",
        )

    async def _tell(self, riders: int) -> None:
        while True:
            await anyio.sleep(10)
            seconds = time.perf_counter() - self._outcome.started_at
            last = self._nemesis.happened[-1].kind if self._nemesis.happened else "nothing"
            self._say(f"{seconds:4.0f} s  {self._talked}/{riders} riders have their taxi; last fault: {last}")

    async def _measure_lag(self) -> None:
        while True:
            before = time.perf_counter()
            await anyio.sleep(0.05)
            self._outcome.lags_ms.append(max(0.0, (time.perf_counter() - before - 0.05) * 1000))


def over_baseline(before: Sequence[Usage], after: Sequence[Usage]) -> list[Finding]:
    """Return what servers hold more than they did, tolerances apart. Pure.

    A server that was started again is held to the highest of the baselines: they all did the same.
    """
    tasks, files = max(each.tasks for each in before), max(each.files for each in before)
    memory = max(each.resident_mb for each in before)
    found = []
    for number, each in enumerate(after):
        where = f"server-{number}"
        if each.client_sockets:
            found.append(Finding("sockets_left", where, f"{each.client_sockets} sockets", each.client_sockets))
        if each.tasks < 0 or each.tasks > tasks + TASKS_TOLERANCE:
            found.append(Finding("tasks_left", where, f"{each.tasks} tasks, before {tasks}", abs(each.tasks - tasks)))
        if each.files > files + FILES_TOLERANCE:
            found.append(Finding("files_left", where, f"{each.files} files, before {files}", each.files - files))
        if each.resident_mb > memory + MEMORY_TOLERANCE_MB:
            found.append(Finding("memory_left", where, f"{each.resident_mb} MB, before {memory} MB"))
    return found
