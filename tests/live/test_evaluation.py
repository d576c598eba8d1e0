"""The whole evaluation against one real server: the goal of the taxi brain."""

from collections.abc import Iterator

import pytest

from app.evals.evaluation import GOAL, evaluate, figures
from app.evals.scenario import load_scenarios
from app.evals.table import render_table
from tests.live.server import Server, running_server

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("evaluation")) as running:
        yield running


async def test_the_right_taxi_is_sent_and_never_a_wrong_one(server: Server) -> None:
    outcomes = await evaluate(server.ws, load_scenarios(), concurrency=8, turn_timeout=30)

    total = figures("total", outcomes)
    table = render_table(outcomes)
    print(table)
    assert total.count >= 150
    assert total.wrong_dispatches == 0, table
    assert total.success >= GOAL, table
