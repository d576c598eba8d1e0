"""The ``voztaxi`` command: what a user or an operator runs."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import anyio
import typer
import uvicorn
from pydantic import ValidationError

from app.core.config import Settings
from app.core.errors import Conflict, Misconfigured, NotFound, StoreError
from app.core.memory import collect_later

cli = typer.Typer(help="Voztaxi: a streaming voice agent that books taxis.", no_args_is_help=True, add_completion=False)


@cli.callback()
def _root() -> None:
    """Keep subcommands even while there are few."""


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; else HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; else PORT.")] = None,
) -> None:
    """Start the server."""
    collect_later()
    from app.api.http_protocol import http_protocol
    from app.main import create_app

    settings = _settings(host=host, port=port)
    if settings.exposure is not None:
        typer.echo(settings.exposure, err=True)
        raise typer.Exit(2)
    shown = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared, not bound
    where = f"[{shown}]" if ":" in shown else shown
    typer.echo(f"Console      http://{where}:{settings.port}/  (examples: /examples)")
    typer.echo(f"API          http://{where}:{settings.port}/docs  (WebSocket: /asyncapi.json)")
    typer.echo(f"Model        {_model(settings)}")
    typer.echo(f"Stores       {_stores(settings)}")
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        http=http_protocol(settings),
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=settings.max_frame_bytes,
        ws_per_message_deflate=False,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        # A peer that is gone is found within both together.
        ws_ping_interval=15,
        ws_ping_timeout=15,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=10,
    )


@cli.command()
def chat(
    url: Annotated[str, typer.Option(help="The server's WebSocket.")] = "ws://127.0.0.1:8000/api/v1/ws/chat",
    thread: Annotated[str | None, typer.Option(help="Continue this conversation.")] = None,
    token: Annotated[
        str | None, typer.Option(envvar="VOZTAXI_TOKEN", show_envvar=True, help="An access token, where one is needed.")
    ] = None,
) -> None:
    """Talk to a running server from the terminal."""
    from websockets.exceptions import ConnectionClosed

    from app.cli.chat import talk

    try:
        anyio.run(talk, url, thread, token)
    except OSError as error:
        typer.echo(f"No server answers at {url}: {error}", err=True)
        raise typer.Exit(1) from error
    except ConnectionClosed as error:
        typer.echo(f"The server ended the conversation: {error}", err=True)
        raise typer.Exit(1) from error


@cli.command("eval")
def evaluate(
    url: Annotated[str | None, typer.Option(help="A running server's WebSocket; else one is started.")] = None,
    model: Annotated[Literal["offline", "openai"], typer.Option(help="Chat model of the started server.")] = "offline",
    repeat: Annotated[int, typer.Option(min=1, help="Times that each scenario is played.")] = 1,
    seed: Annotated[int, typer.Option(help="Chooses the riders' words.")] = 0,
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind of scenario; may be given again.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write every conversation to this HTML file.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Conversations at a time.")] = 8,
) -> None:
    """Play the scenarios against a server and grade the bookings that it stored."""
    from app.cli.evaluate import run_evaluation

    is_good = run_evaluation(
        url=url, model=model, repeat=repeat, seed=seed, kinds=kind or (), report=report, concurrency=concurrency
    )
    raise typer.Exit(0 if is_good else 1)


@cli.command()
def chaos(
    riders: Annotated[int, typer.Option(min=1, help="Riders, each with at least four faults of their own.")] = 30,
    seed: Annotated[int, typer.Option(help="Decides who wants what and what goes wrong.")] = 0,
    servers: Annotated[int, typer.Option(min=2, max=4, help="Server processes.")] = 3,
    report: Annotated[Path | None, typer.Option(help="Write the report to this JSON file.")] = None,
    minutes: Annotated[float, typer.Option(min=0.5, help="Longest that the storm may last.")] = 12,
) -> None:
    """Break servers, Redis and Postgres of its own under riders, and count what was lost or came twice."""
    from app.cli.chaos import run_chaos

    is_clean = run_chaos(riders=riders, seed=seed, servers=servers, report=report, minutes=minutes)
    raise typer.Exit(0 if is_clean else 1)


bench_cli = typer.Typer(help="Measurements, in a checkout.", no_args_is_help=True)
cli.add_typer(bench_cli, name="bench")


@bench_cli.command("voice")
def bench_voice(
    parts: Annotated[
        list[str] | None, typer.Argument(help="latency, interrupt, bookings, callers, soak; all where none is named.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A folder for what was measured, as JSON and text.")] = None,
    utterances: Annotated[int, typer.Option(min=1, help="latency: what each is asked.")] = 100,
    peer: Annotated[bool, typer.Option(help="latency: measure pipecat beside us.")] = True,
    interruptions: Annotated[int, typer.Option(min=0, help="interrupt: riders who mean it.")] = 30,
    noises: Annotated[int, typer.Option(min=0, help="interrupt: recorded noises, and as many backchannels.")] = 35,
    scenarios: Annotated[int, typer.Option(min=0, help="bookings: scenarios in silence.")] = 60,
    noisy: Annotated[int, typer.Option(min=0, help="bookings: scenarios in each other condition.")] = 40,
    condition: Annotated[
        list[str] | None,
        typer.Option(help="bookings: only this of clean, 20 dB, 10 dB, telephone; may be given again."),
    ] = None,
    pace: Annotated[float, typer.Option(min=1, help="bookings: how many times as fast as real time.")] = 4,
    at_once: Annotated[int, typer.Option(min=1, help="bookings: conversations at a time.")] = 2,
    callers: Annotated[int, typer.Option(min=0, help="callers: at once, with engines of vendors.")] = 10,
    local_callers: Annotated[int, typer.Option(min=0, help="callers: at once, with engines that run here.")] = 3,
    turns: Annotated[int, typer.Option(min=1, help="callers: what each says.")] = 6,
    minutes: Annotated[float, typer.Option(min=0.1, help="soak: how long.")] = 30,
    soak_callers: Annotated[int, typer.Option(min=1, help="soak: at once.")] = 5,
    seed: Annotated[int, typer.Option(help="Chooses sentences and words.")] = 0,
) -> None:
    """Measure the voice: latency beside pipecat, interruptions, spoken bookings, many callers, a soak."""
    from app.cli.bench import CONDITIONS, PARTS, VoiceOptions, run_voice_bench

    chosen = parts or list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        typer.echo(f"There is no {', '.join(sorted(unknown))}: {', '.join(PARTS)}", err=True)
        raise typer.Exit(2)
    conditions = tuple(condition or CONDITIONS)
    if unknown := set(conditions) - set(CONDITIONS):
        typer.echo(f"There is no {', '.join(sorted(unknown))}: {', '.join(CONDITIONS)}", err=True)
        raise typer.Exit(2)
    options = VoiceOptions(
        utterances=utterances,
        peer=peer,
        interruptions=interruptions,
        noises=noises,
        scenarios=scenarios,
        noisy=noisy,
        conditions=conditions,
        pace=pace,
        at_once=at_once,
        callers=callers,
        local_callers=local_callers,
        turns=turns,
        minutes=minutes,
        soak_callers=soak_callers,
        seed=seed,
    )
    run_voice_bench(chosen, options, out)


@bench_cli.command("overhead")
def bench_overhead(
    parts: Annotated[
        list[str] | None,
        typer.Argument(
            help="burst, first, paced, capacity, growth, memory, log, instructions; all where none is named."
        ),
    ] = None,
    contender: Annotated[list[str] | None, typer.Option(help="Only this one; may be given again.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each measurement is taken.")] = 3,
    quick: Annotated[bool, typer.Option(help="Seconds in place of minutes: to see that it works.")] = False,
    out: Annotated[Path, typer.Option(help="A folder for JSON, text and the chart.")] = Path("benchmarks/results"),
    check: Annotated[
        Path | None, typer.Option(help="Ratios of burst that must not be exceeded by much: benchmarks/baseline.json.")
    ] = None,
) -> None:
    """Measure what lies between a model and a client, beside other ways to write it."""
    from app.cli.overhead import PARTS, run_overhead_bench

    chosen = parts or list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        typer.echo(f"There is no {', '.join(sorted(unknown))}: {', '.join(PARTS)}", err=True)
        raise typer.Exit(2)
    run_overhead_bench(chosen, contender or (), rounds=rounds, quick=quick, out=out, baseline=check)


@cli.command()
def migrate() -> None:
    """Bring the tables of the database to what this version needs."""
    from app.bootstrap import migrate

    settings = _settings()
    if settings.in_memory:
        typer.echo("memory:// has no tables.")
        return
    with _operator_errors():
        anyio.run(migrate, settings)
    typer.echo(f"{settings.shown_database_url} is up to date.")


@cli.command()
def fleet(
    port: Annotated[int, typer.Option(help="Port on loopback.")] = 8100,
    webhook: Annotated[
        str, typer.Option(help="Where the server takes events of rides.")
    ] = "http://127.0.0.1:8000/api/v1/dispatch/webhook",
    fail_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of posts answered with 500.")] = 0,
    delay: Annotated[float, typer.Option(min=0, help="Seconds before each answer.")] = 0,
    assign_after: Annotated[float, typer.Option(min=0, help="Seconds until a driver is found.")] = 2,
    script: Annotated[
        str, typer.Option(help="What becomes of the first posts of each key: ok, 500, 500-after, timeout, 429, 422.")
    ] = "",
    ride: Annotated[str, typer.Option(help="What is told of a ride, in order.")] = "assigned,arrived,completed",
    twice: Annotated[bool, typer.Option("--twice", help="Tell everything twice.")] = False,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="Tell it in any order.")] = False,
    seed: Annotated[int, typer.Option(help="Chooses drivers, and what fails.")] = 0,
) -> None:
    """Start a small fleet for development: it takes bookings, sends taxis on paper, and fails on order."""
    from app.cli.fleet import run_fleet
    from app.devfleet.fleet import Knobs

    settings = _settings()
    given = {"fail_rate": fail_rate, "delay": delay, "assign_after": assign_after, "twice": twice, "shuffle": shuffle}
    try:
        knobs = Knobs.model_validate({**given, "script": _words(script), "ride": _words(ride)})
    except ValidationError as error:
        typer.echo("; ".join(f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors()), err=True)
        raise typer.Exit(2) from error
    run_fleet(port=port, webhook_url=webhook, secret=settings.dispatch_secret, knobs=knobs, seed=seed)


dispatch_cli = typer.Typer(help="What must still reach the fleet or a thread.", no_args_is_help=True)
cli.add_typer(dispatch_cli, name="dispatch")


@dispatch_cli.command("list")
def dispatch_list(limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100) -> None:
    """Print the deliveries that are not made: pending, and parked after too many attempts."""
    from app.cli.dispatch import show

    show(_kept_settings(), limit)


@dispatch_cli.command("retry")
def dispatch_retry(
    name: Annotated[str | None, typer.Argument(help="Id of a parked delivery, or of its booking.")] = None,
    all_parked: Annotated[bool, typer.Option("--all-parked", help="All that are parked.")] = False,
) -> None:
    """Try parked deliveries once more; one that fails again is parked again."""
    from app.cli.dispatch import retry

    if (name is None) != all_parked:
        typer.echo("Name a delivery or a booking, or give --all-parked.", err=True)
        raise typer.Exit(2)
    count = retry(_kept_settings(), name)
    typer.echo(f"{count} due again")
    raise typer.Exit(0 if count or all_parked else 1)


users_cli = typer.Typer(help="Who may log in.", no_args_is_help=True)
cli.add_typer(users_cli, name="users")

_PASSWORD = Annotated[str | None, typer.Option(help="The password; else it is asked for, or read from a pipe.")]


@users_cli.command("add")
def users_add(name: Annotated[str, typer.Argument(help="What they log in with.")], password: _PASSWORD = None) -> None:
    """Open an account."""
    from app.cli.users import add

    settings = _kept_settings()
    with _operator_errors():
        account = add(settings, name, _password(password))
    typer.echo(f"{account.name} may log in; user_id {account.account_id}")


@users_cli.command("list")
def users_list() -> None:
    """Print the accounts, oldest first: id and name."""
    from app.cli.users import list_all

    with _operator_errors():
        for account in list_all(_kept_settings()):
            typer.echo(f"{account.account_id}  {account.name}")


@users_cli.command("password")
def users_password(name: Annotated[str, typer.Argument(help="Whose.")], password: _PASSWORD = None) -> None:
    """Set another password; whoever is logged in must log in anew."""
    from app.cli.users import change_password

    settings = _kept_settings()
    with _operator_errors():
        change_password(settings, name, _password(password))
    typer.echo(f"{name} has another password")


@users_cli.command("remove")
def users_remove(name: Annotated[str, typer.Argument(help="Whose.")]) -> None:
    """Close an account. Its conversations stay, and nobody gets into them."""
    from app.cli.users import remove

    with _operator_errors():
        remove(_kept_settings(), name)
    typer.echo(f"{name} may no longer log in")


@cli.command()
def config() -> None:
    """Print the settings in force. Secrets are masked."""
    typer.echo(json.dumps(_settings().model_dump(mode="json"), ensure_ascii=False, indent=2))


@cli.command()
def openapi() -> None:
    """Print the OpenAPI document of the HTTP routes."""
    from app.main import create_app

    typer.echo(json.dumps(create_app(_settings()).openapi(), ensure_ascii=False, indent=2))


@cli.command()
def addresses(
    file: Annotated[Path | None, typer.Argument(help="One text a line; else standard input.")] = None,
) -> None:
    """Normalise addresses: one JSON object a line."""
    from app.bootstrap import read_addresses

    source = file.open(encoding="utf-8", errors="replace") if file else typer.get_text_stream("stdin", encoding="utf-8")
    with source as lines:
        for reading in read_addresses(line.rstrip("\r\n") for line in lines):
            typer.echo(json.dumps(reading, ensure_ascii=False))


def _settings(**given: object) -> Settings:
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            name = ".".join(str(part) for part in problem["loc"]).upper()
            typer.echo(f"{name or 'Settings'}: {problem['msg']}", err=True)
        raise typer.Exit(2) from error


@contextmanager
def _operator_errors() -> Iterator[None]:
    """Say what to do about an error, and nothing of the inside."""
    try:
        yield
    except Misconfigured as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    except (Conflict, NotFound, ValueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    except StoreError as error:
        typer.echo(f"The database cannot be used: {error.__cause__}", err=True)
        raise typer.Exit(1) from error


def _kept_settings() -> Settings:
    """Return the settings, of a server whose stores another process can see."""
    settings = _settings()
    if settings.in_memory:
        typer.echo("DATABASE_URL is memory://: what it holds is in the server's process alone.", err=True)
        raise typer.Exit(2)
    return settings


def _password(given: str | None) -> str:
    """Return a password that was given, is typed twice, or comes by a pipe."""
    if given is not None:
        return given
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _model(settings: Settings) -> str:
    if settings.model_kind == "offline":
        return "offline (rules, no key needed)"
    return f"{settings.llm_model} at {settings.openai_base_url or 'OpenAI'}"


def _stores(settings: Settings) -> str:
    if settings.in_memory:
        return "memory: nothing is kept"
    where = settings.shown_database_url
    shown = f"SQLite {where.partition(':///')[2]}" if settings.database_kind == "sqlite" else where
    return f"{shown}, checkpoints: {settings.checkpointer_kind}"


def main() -> None:
    """Run the command."""
    cli()
