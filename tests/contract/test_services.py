"""What tests may expect of the services that they start."""

import psutil
import psycopg
import pytest
import redis

from app.chaos.services import Postgres, Redis, is_alive, run_postgres, run_redis

pytestmark = pytest.mark.contract


def count_rows(server: Postgres) -> int:
    with psycopg.connect(server.url.replace("+asyncpg", ""), connect_timeout=5) as connection:
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
    assert row is not None
    return int(row[0])


def test_postgres_keeps_what_was_committed_over_a_crash_and_a_stop_and_leaves_nothing_running() -> None:
    with run_postgres() as server:
        server.run("CREATE TABLE kept (number int)")
        server.run("INSERT INTO kept VALUES (1)")
        server.kill()
        server.start()
        assert count_rows(server) == 1
        server.stop()
        server.start()
        assert count_rows(server) == 1
        server.pause()
        processes = [server.pid, *(each.pid for each in psutil.Process(server.pid).children(recursive=True))]

    assert len(processes) > 1
    assert not [pid for pid in processes if is_alive(pid)]


def test_a_paused_postgres_answers_nobody_until_it_is_resumed(postgres: Postgres) -> None:
    postgres.pause()
    try:
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(postgres.url.replace("+asyncpg", ""), connect_timeout=2)
    finally:
        postgres.resume()
    postgres.run("SELECT 1")


def test_databases_do_not_see_each_other(postgres: Postgres) -> None:
    with postgres.new_database() as one, postgres.new_database() as two:
        with psycopg.connect(one.replace("+asyncpg", ""), autocommit=True) as connection:
            connection.execute("CREATE TABLE only_here (number int)")
        with psycopg.connect(two.replace("+asyncpg", "")) as connection:
            row = connection.execute("SELECT to_regclass('only_here')").fetchone()
        assert row == (None,)


def test_redis_keeps_what_was_written_over_a_crash_and_is_empty_for_each_test(
    redis_server: Redis, redis_url: str
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
    with run_redis() as server:
        with redis.Redis.from_url(server.url) as client:
            client.set("kept", "1")
        server.kill()
        server.start()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("kept") == b"1"
