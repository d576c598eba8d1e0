"""A run as figures: exact counts first, then how long things took. Pure but for the versions it names."""

import math
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from app.chaos.audit import COUNTS, total
from app.chaos.faults import SERVER_FAULTS
from app.chaos.nemesis import Happened
from app.chaos.observation import Recovery
from app.chaos.storm import Aftermath

_PACKAGES = ("voztaxi", "fastapi", "uvicorn", "websockets", "langgraph", "redis", "asyncpg", "psycopg", "sqlalchemy")
_SHOWN_FINDINGS = 200
_AFTER_EFFECT_SECONDS = 2.0
"""How long after a fault of a process connections may still have its queues before them."""


def make_report(outcome: Aftermath) -> dict[str, Any]:
    """Return the report of a run, ready to be written as JSON."""
    options = outcome.options
    riders = [each.rider for each in outcome.evidence]
    recoveries = [recovery for rider in riders for recovery in rider.recoveries]
    return {
        "seed": options.seed,
        "riders": options.riders,
        "servers": options.servers,
        "database": options.database,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        "seconds": round(outcome.seconds, 1),
        "storm_seconds": round(outcome.storm_seconds, 1),
        "counts": total(outcome.findings),
        "findings": [asdict(each) for each in outcome.findings[:_SHOWN_FINDINGS]],
        "done": {
            "turns": sum(len(each.turns) for each in outcome.evidence),
            "events": sum(len(each.log) for each in outcome.evidence),
            "bookings": sum(len(each.bookings) for each in outcome.evidence),
            "faults_of_riders": sum(len(rider.faults) for rider in riders),
            "fewest_faults_of_a_rider": min((len(rider.faults) for rider in riders), default=0),
            "faults_of_processes": len(outcome.happened),
            "replays_not_recovered": sum(len(rider.observation.unrecovered) for rider in riders),
        },
        "faults_of_riders": _counted(fault for rider in riders for fault in rider.faults),
        "faults_of_processes": _counted(each.kind for each in outcome.happened),
        "refusals": _counted(code for rider in riders for code in rider.refusals),
        "failed_turns": _counted(code for rider in riders for code, _ in rider.failures),
        "turns_interrupted_by_nobody": sum(
            status == "interrupted" and turn not in rider.own_interruptions
            for rider in riders
            for turn, status in rider.observation.ended.items()
        ),
        "recovery_ms": _recoveries(recoveries, outcome.happened),
        "worker_lost_seconds": _worker_lost(outcome),
        "stops": [each.notes for each in outcome.happened if each.kind == "terminate_server"],
        "harness_lag_ms": percentiles(outcome.lags_ms),
        "servers_before": [asdict(each) for each in outcome.baseline],
        "servers_after": [asdict(each) for each in outcome.after],
        "server_starts": outcome.starts,
        "events": [
            {
                "at": round(each.at - outcome.started_at, 3),
                "seconds": None if math.isinf(each.until) else round(each.until - each.at, 3),
                "kind": each.kind,
                "target": each.target,
                **each.notes,
            }
            for each in outcome.happened
        ],
        "logs": None if outcome.logs is None else str(outcome.logs),
    }


def is_clean(report: Mapping[str, Any]) -> bool:
    """Return whether every count is zero."""
    return not any(report["counts"].values())


def render_table(report: Mapping[str, Any]) -> str:
    """Return a report as text for a terminal."""
    done = report["done"]
    lines = [
        f"seed {report['seed']}: {report['riders']} riders, {report['servers']} servers, "
        f"{done['turns']} turns, {done['events']} events, {done['bookings']} bookings in {report['storm_seconds']:g} s",
        f"{done['faults_of_riders']} faults of riders (at least {done['fewest_faults_of_a_rider']} each): "
        + _in_words(report["faults_of_riders"]),
        f"{done['faults_of_processes']} faults of processes: " + _in_words(report["faults_of_processes"]),
        f"failed turns, each answered by asking again: {_in_words(report['failed_turns'])}",
        f"refusals, each healed by coming again: {_in_words(report['refusals'])}",
        f"replays that the log could not give: {done['replays_not_recovered']}; "
        f"turns interrupted by nobody: {report['turns_interrupted_by_nobody']}",
        "",
    ]
    width = max(map(len, COUNTS.values()))
    lines += [f"{COUNTS[name]:<{width}}  {number:>6}" for name, number in report["counts"].items()]
    lines += ["", f"{'milliseconds':<{width}}  {'n':>6} {'p50':>9} {'p95':>9} {'p99':>9} {'max':>9}"]
    rows = {
        "recovery after TCP connect, processes untouched": report["recovery_ms"]["undisturbed"],
        "recovery after TCP connect, all": report["recovery_ms"]["all"],
        "from the loss, with failed attempts and waits": report["recovery_ms"]["outage"],
        "lag of this program itself": report["harness_lag_ms"],
    }
    for name, row in rows.items():
        values = " ".join(f"{row[key]:>9.1f}" for key in ("p50", "p95", "p99", "max"))
        lines.append(f"{name:<{width}}  {row['n']:>6} {values}")
    lost = report["worker_lost_seconds"]
    lines += [
        "",
        f"worker_lost after kill -9: {lost['n']} turns, at most {lost['max']:g} s; "
        f"with all stores up {lost['n_stores_up']} turns, at most {lost['max_stores_up']:g} s",
        f"stops on SIGTERM: {len(report['stops'])}, "
        f"at most {max((each.get('seconds_to_stop', 0) for each in report['stops']), default=0):g} s",
    ]
    lines += [f"  {each['count']} {each['thread_id']}: {each['what'][:300]}" for each in report["findings"][:20]]
    if report["logs"]:
        lines.append(f"Logs of the servers: {report['logs']}")
    lines.append("All counts are zero." if is_clean(report) else "NOT ALL COUNTS ARE ZERO.")
    return "\n".join(lines)


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """Return how many values there are, and their percentiles by nearest rank."""
    ordered = sorted(values)
    row: dict[str, float] = {"n": len(ordered)}
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)):
        row[name] = round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 2) if ordered else 0.0
    return row


def _recoveries(recoveries: Sequence[Recovery], happened: Sequence[Happened]) -> dict[str, Any]:
    """Return the percentiles of all, and of those during which no process was being broken or started."""
    undisturbed = [each for each in recoveries if not _is_disturbed(each, happened)]
    by_transport = {
        transport: percentiles(each.milliseconds for each in undisturbed if each.transport == transport)
        for transport in ("websocket", "sse")
    }
    return {
        "all": percentiles(each.milliseconds for each in recoveries),
        "undisturbed": percentiles(each.milliseconds for each in undisturbed),
        "undisturbed_by_transport": by_transport,
        "outage": percentiles(each.outage_milliseconds for each in recoveries),
        "attempts": percentiles(each.attempts for each in recoveries),
    }


def _is_disturbed(recovery: Recovery, happened: Sequence[Happened]) -> bool:
    ended = recovery.at + recovery.milliseconds / 1000
    return any(each.at <= ended and recovery.at <= each.until + _AFTER_EFFECT_SECONDS for each in happened)


def _worker_lost(outcome: Aftermath) -> dict[str, float]:
    """Return how long after a kill the turns of the dead were ended by others."""
    away = [each for each in outcome.happened if each.kind in SERVER_FAULTS]
    stores = [each for each in outcome.happened if each.kind not in SERVER_FAULTS and each.kind != "fleet_trouble"]
    every, clear = [], []
    for each in outcome.evidence:
        for code, at in each.rider.failures:
            before = [fault for fault in away if fault.unix <= at]
            # A frozen server loses its turns too: those are not counted here.
            if code != "worker_lost" or not before or before[-1].kind != "kill_server":
                continue
            kill = before[-1]
            seconds = at - kill.unix
            every.append(seconds)
            ended = kill.at + seconds
            if not any(fault.at <= ended and kill.at <= fault.until for fault in stores):
                clear.append(seconds)
    return {
        "n": len(every),
        "max": round(max(every, default=0.0), 2),
        "n_stores_up": len(clear),
        "max_stores_up": round(max(clear, default=0.0), 2),
    }


def _counted(kinds: Iterable[str]) -> dict[str, int]:
    return dict(Counter(kinds).most_common())


def _in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.items()) or "none"
