"""Tokens of a chat model: counted where its server counts them, and told to no client."""

from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk
from langchain_core.messages.ai import UsageMetadata
from prometheus_client import REGISTRY

from tests.collector import attributes, running_collector
from tests.desk import open_desk
from tests.fakes import ScriptedModel, calls, words

pytestmark = pytest.mark.integration

FIRST = "RECEPCIONISTA"


def usage(given: int, answered: int) -> AIMessageChunk:
    """Return what a server sends of its counts."""
    counted = UsageMetadata(input_tokens=given, output_tokens=answered, total_tokens=given + answered)
    return AIMessageChunk(content="", usage_metadata=counted)


class Counted:
    """The tokens that were counted since this was made."""

    def __init__(self) -> None:
        self._before = self._now()

    @staticmethod
    def _now() -> tuple[float, float]:
        given, answered = (
            REGISTRY.get_sample_value("voztaxi_model_tokens_total", {"agent": FIRST, "direction": direction}) or 0.0
            for direction in ("input", "output")
        )
        return given, answered

    def __call__(self) -> tuple[float, float]:
        given, answered = self._now()
        return given - self._before[0], answered - self._before[1]


def model(*answers: list[AIMessageChunk]) -> ScriptedModel:
    return ScriptedModel(script=list(answers))


@pytest.mark.parametrize(
    "told",
    [
        [usage(20, 3)],
        pytest.param([usage(20, 0), usage(0, 3)], id="in two parts"),
        pytest.param([usage(20, 1), usage(20, 2), usage(20, 3)], id="as it grows"),
    ],
)
async def test_tokens_are_counted_once_however_the_server_tells_them(told: list[AIMessageChunk]) -> None:
    counted = Counted()
    async with open_desk(model=model([*words("Hola."), *told])) as desk:
        await desk.say("Hola")

    assert counted() == (20, 3)


async def test_a_server_that_tells_none_leaves_the_figure_alone() -> None:
    counted = Counted()
    async with open_desk(model=model(words("Hola."))) as desk:
        await desk.say("Hola")
    async with open_desk() as offline:
        await offline.say("Hola")

    assert counted() == (0, 0)


async def test_the_tokens_of_an_answer_that_is_of_no_use_are_counted() -> None:
    counted = Counted()
    async with open_desk(model=model([*words("Hola", end="length"), usage(20, 3)])) as desk:
        said = await desk.say("Hola")

    assert said.end.status == "failed"
    assert counted() == (20, 3)


async def test_no_client_and_no_log_is_told() -> None:
    async with open_desk(model=model([*words("Hola."), usage(20, 3)])) as desk:
        await desk.say("Hola")
        records = await desk.log()

    assert [record.event.type for record in records] == [
        "stt_chunk",
        "stt_output",
        "turn_start",
        "agent_chunk",
        "agent_end",
        "turn_end",
    ]
    assert [record.seq for record in records] == [1, 2, 3, 4, 5, 6]


async def test_an_agents_span_has_the_tokens_of_all_its_answers() -> None:
    asks = calls(("Calle72", "{}"))
    script: list[Any] = [[*asks, usage(20, 3)], [*words("¿A dónde?"), usage(30, 4)]]
    with running_collector() as collector:
        async with open_desk(model=model(*script), otel_exporter_otlp_endpoint=collector.url) as desk:
            await desk.say("Hola")

    [agent] = collector.named(f"invoke_agent {FIRST}")
    assert attributes(agent)["gen_ai.usage.input_tokens"] == 50
    assert attributes(agent)["gen_ai.usage.output_tokens"] == 7
