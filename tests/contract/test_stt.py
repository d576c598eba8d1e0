"""What every speech-to-text engine does: real words come out, of noise nothing, and it survives what happens to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import anyio
import pytest
import pytest_asyncio

from app.core.errors import SttError
from app.engines.stt.base import SpeechHints, SttEngine
from app.taxi.aloud import aloud
from app.taxi.key_terms import key_terms
from app.taxi.places import Gazetteer, parse_address
from tests.contract.speech_engines import STT_ENGINES, Opened, held
from tests.voices import VOICES, RiderVoice, chunks, noise, over_telephone, silence, spoken, with_noise, word_errors

pytestmark = [pytest.mark.contract, pytest.mark.asyncio(loop_scope="module")]

HINTS = SpeechHints(terms=("calle 72 número 43-25", "pago en efectivo", "El Prado", "Ciudad Jardín", "Buenavista"))
SAID = "Estoy en el centro comercial Buenavista, en la entrada principal."
SENTENCES = (
    SAID,
    "Estoy en el barrio El Prado, en la carrera cincuenta y cuatro.",
    "Necesito que el carro tenga aire acondicionado y que acepte mascotas.",
    "Para mañana a las seis de la mañana.",
    "Pago en efectivo.",
)
ADDRESS_SAID = "Calle setenta y nueve número cincuenta y cinco veintiuno."
ADDRESS = "Calle 79 #55-21"
GAZETTEER = Gazetteer.load()


@pytest_asyncio.fixture(params=list(STT_ENGINES), scope="module", loop_scope="module")
async def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Opened[SttEngine]]:
    async with held(STT_ENGINES[request.param](tmp_path_factory.mktemp("engine"))) as opened:
        yield opened


async def understood(engine: SttEngine, audio: bytes, *, pause: bool = False) -> str:
    async with engine.open(HINTS) as session, session.recognise() as recognition:
        for chunk in chunks(audio):
            recognition.feed(chunk)
        if pause:
            recognition.pause()
        return await recognition.finish()


@pytest.mark.parametrize("voice", VOICES)
async def test_the_words_of_real_speech_come_out(opened: Opened[SttEngine], voice: RiderVoice) -> None:
    errors = [word_errors(said, await understood(opened.engine, spoken(said, voice))) for said in SENTENCES]

    assert sum(errors) / len(errors) < 0.15


@pytest.mark.parametrize("voice", VOICES)
async def test_the_numbers_of_an_address_are_kept_apart(opened: Opened[SttEngine], voice: RiderVoice) -> None:
    hints = SpeechHints(terms=key_terms(GAZETTEER))
    async with opened.engine.open(hints) as session, session.recognise() as recognition:
        recognition.feed(spoken(ADDRESS_SAID, voice))
        heard = await recognition.finish()

    assert parse_address(heard, GAZETTEER).address == ADDRESS, heard


@pytest.mark.parametrize(
    "spoil", [over_telephone, lambda pcm: with_noise(pcm, 20)], ids=["telephone", "noise at 20 dB"]
)
async def test_words_come_out_of_worse_sound_too(opened: Opened[SttEngine], spoil: object) -> None:
    assert word_errors(SAID, await understood(opened.engine, spoil(spoken(SAID)))) < 0.3


@pytest.mark.parametrize(
    "audio",
    [b"", silence(2), noise(2), noise(3, level=0.2, seed=1), noise(0.3, level=0.1, seed=2)],
    ids=["nothing", "silence", "noise", "loud noise", "a knock"],
)
async def test_where_nobody_spoke_nothing_is_understood(opened: Opened[SttEngine], audio: bytes) -> None:
    assert await understood(opened.engine, audio) == ""


async def test_what_was_decoded_at_the_last_pause_is_the_whole_utterance(opened: Opened[SttEngine]) -> None:
    audio = spoken(SAID)
    async with opened.engine.open(HINTS) as session, session.recognise() as recognition:
        recognition.feed(audio[: len(audio) // 4 * 2])
        recognition.pause()
        recognition.feed(audio[len(audio) // 4 * 2 :])
        recognition.pause()

        assert word_errors(SAID, await recognition.finish()) < 0.15


async def test_partials_come_before_the_end_and_end_with_it(opened: Opened[SttEngine]) -> None:
    audio = spoken(SAID)
    shown: list[str] = []
    first = anyio.Event()

    async def show(recognition: object) -> None:
        async with aclosing(recognition.partials()) as partials:
            async for text in partials:
                shown.append(text)
                first.set()

    async with opened.engine.open(HINTS) as session, session.recognise() as recognition, asyncio.TaskGroup() as tasks:
        tasks.create_task(show(recognition))
        recognition.feed(audio[: len(audio) // 2 // 2 * 2])
        await first.wait()
        recognition.feed(audio[len(audio) // 2 // 2 * 2 :])

        assert word_errors(SAID, await recognition.finish()) < 0.15
    assert all(shown)


async def test_what_is_understood_in_a_pause_is_shown_while_it_lasts(opened: Opened[SttEngine]) -> None:
    said = "Pago en efectivo."
    async with opened.engine.open(HINTS) as session, session.recognise() as recognition:
        recognition.feed(spoken(said))
        recognition.pause()
        async with aclosing(recognition.partials()) as partials:
            assert word_errors(said, await anext(partials)) == 0

        assert word_errors(said, await recognition.finish()) == 0


async def test_who_stops_watching_a_transcript_does_not_take_it_along(opened: Opened[SttEngine]) -> None:
    said = "Pago en efectivo."
    async with opened.engine.open(HINTS) as session, session.recognise() as recognition:
        recognition.feed(spoken(said))
        recognition.pause()
        partials = recognition.partials()
        watching = asyncio.create_task(anext(partials))
        await asyncio.sleep(0)  # it waits
        watching.cancel()
        await asyncio.wait([watching])
        await partials.aclose()

        assert word_errors(said, await recognition.finish()) == 0


async def test_an_utterance_that_is_left_leaves_the_engine_usable(opened: Opened[SttEngine]) -> None:
    async with opened.engine.open(HINTS) as session:
        async with session.recognise() as recognition:
            recognition.feed(spoken(SAID))
            recognition.pause()
        async with session.recognise() as recognition:
            recognition.feed(spoken("Pago en efectivo."))

            assert word_errors("Pago en efectivo.", await recognition.finish()) == 0


async def test_two_riders_are_understood_at_once(opened: Opened[SttEngine]) -> None:
    heard = await asyncio.gather(
        understood(opened.engine, spoken(SENTENCES[1], "ef_dora")),
        understood(opened.engine, spoken(SENTENCES[3], "em_alex"), pause=True),
    )

    assert word_errors(SENTENCES[1], heard[0]) < 0.3
    assert word_errors(SENTENCES[3], heard[1]) < 0.3


@pytest.mark.parametrize("way", ["crash", "hang"])
async def test_an_engine_that_breaks_is_an_error_and_is_well_for_the_next(opened: Opened[SttEngine], way: str) -> None:
    async with opened.engine.open(HINTS) as session, session.recognise() as recognition:
        recognition.feed(spoken(SAID))
        recognition.pause()
        await asyncio.sleep(0)  # it is handed over
        with getattr(opened, way)(), pytest.raises(SttError):
            await recognition.finish()

    assert word_errors(SAID, await understood(opened.engine, spoken(SAID))) < 0.15


async def test_a_long_monologue_is_understood_to_its_end(opened: Opened[SttEngine], tmp_path: Path) -> None:
    audio = silence(0.4).join(spoken(said) for said in SENTENCES * 2) + silence(6)

    assert "efectivo" in await understood(opened.engine, audio)


async def test_who_speaks_fast_is_understood_to_the_end(opened: Opened[SttEngine]) -> None:
    said = "Estoy en la calle setenta y dos número cuarenta y tres veinticinco, en el barrio El Prado."

    heard = await understood(opened.engine, spoken(said, speed=1.5))

    assert "Prado" in heard
    assert word_errors(said, heard) < 0.25  # which words it mistakes depends on the processor


async def test_who_reads_out_a_code_is_understood_to_the_end(opened: Opened[SttEngine]) -> None:
    codes = ("91B7584A", "612E7696", "E4B06CE6", "9B810E76")  # heard as «Calle-a-a-a-a…» until there was no room left
    confirmed = ("¡Listo!", f"Tu taxi va en camino a {aloud('Calle 72 #43-25')}, El Prado.")
    async with opened.engine.open(SpeechHints()) as session:
        for code in codes:
            said = (*confirmed, f"Tu número de servicio es {aloud(code)}.", "¡Buen viaje!")
            async with session.recognise() as recognition:
                recognition.feed(silence(0.2).join(spoken(sentence) for sentence in said))
                heard = await recognition.finish()

            assert "Prado" in heard.title(), heard
            assert "buen viaje" in heard.casefold(), heard
