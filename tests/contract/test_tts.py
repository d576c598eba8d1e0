"""What every text-to-speech engine does: whole samples as they are made, and it survives what happens to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import numpy as np
import pytest
import pytest_asyncio

from app.core.errors import TtsError
from app.engines.tts.base import TtsEngine
from tests.contract.speech_engines import TTS_ENGINES, Opened, held

pytestmark = [pytest.mark.contract, pytest.mark.asyncio(loop_scope="module")]

SHORT = "Claro que sí."
LONG = "Listo, Carlos va en camino, llega en siete minutos, y el viaje cuesta unos doce mil pesos."


@pytest_asyncio.fixture(params=list(TTS_ENGINES), scope="module", loop_scope="module")
async def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Opened[TtsEngine]]:
    async with held(TTS_ENGINES[request.param](tmp_path_factory.mktemp("engine"))) as opened:
        yield opened


async def sound(engine: TtsEngine, text: str) -> list[bytes]:
    return [piece async for piece in engine.speak(text)]


async def test_a_sentence_is_sound_of_a_plausible_length(opened: Opened[TtsEngine]) -> None:
    samples = np.frombuffer(b"".join(await sound(opened.engine, LONG)), dtype="<i2")

    assert 3 < len(samples) / opened.engine.sample_rate < 12
    assert np.abs(samples.astype(int)).max() > 1000


async def test_every_piece_is_whole_samples(opened: Opened[TtsEngine]) -> None:
    pieces = await sound(opened.engine, LONG)

    assert pieces
    assert all(piece and len(piece) % 2 == 0 for piece in pieces)


async def test_a_long_sentence_comes_in_pieces(opened: Opened[TtsEngine]) -> None:
    assert len(await sound(opened.engine, LONG)) > 1


@pytest.mark.parametrize("text", ["", "   ", "…", "¿?", "\n", "."])
async def test_where_there_is_nothing_to_say_nothing_is_said(opened: Opened[TtsEngine], text: str) -> None:
    assert await sound(opened.engine, text) == []


@pytest.mark.parametrize(
    "text", ["Va 🚕 ya, señor Ñuñez.", "a\0b", "Zürich ‽ 東京 тест", "x" * 80, "Ok \ud800.", "<b>hola</b> & 3 < 4"]
)
async def test_odd_characters_are_spoken_somehow(opened: Opened[TtsEngine], text: str) -> None:
    await sound(opened.engine, text)

    assert await sound(opened.engine, SHORT)


async def test_five_hundred_characters_are_spoken_to_their_end(opened: Opened[TtsEngine]) -> None:
    text = ("El conductor llega por la calle setenta y dos, junto al parque, y espera en la entrada principal. " * 6)[
        :500
    ]
    samples = sum(map(len, await sound(opened.engine, text))) / 2

    assert samples / opened.engine.sample_rate > 20


async def test_a_closed_answer_leaves_the_engine_usable(opened: Opened[TtsEngine]) -> None:
    async with aclosing(opened.engine.speak(LONG)) as pieces:
        await anext(pieces)

    assert await sound(opened.engine, SHORT)


async def test_a_cancelled_answer_leaves_the_engine_usable(opened: Opened[TtsEngine]) -> None:
    task = asyncio.create_task(sound(opened.engine, LONG))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await sound(opened.engine, SHORT)


async def test_two_sentences_at_once_do_not_mix(opened: Opened[TtsEngine]) -> None:
    alone = [len(b"".join(await sound(opened.engine, text))) for text in (SHORT, LONG)]

    together = await asyncio.gather(sound(opened.engine, SHORT), sound(opened.engine, LONG))

    assert [len(b"".join(pieces)) for pieces in together] == pytest.approx(alone, rel=0.1)


@pytest.mark.parametrize("way", ["crash", "hang"])
async def test_an_engine_that_breaks_is_an_error_and_is_well_for_the_next(opened: Opened[TtsEngine], way: str) -> None:
    async with aclosing(opened.engine.speak(" ".join([LONG] * 50))) as pieces:
        await anext(pieces)  # more follows than fits between two processes
        with getattr(opened, way)(), pytest.raises(TtsError):
            async for _ in pieces:
                pass

    assert await sound(opened.engine, SHORT)
