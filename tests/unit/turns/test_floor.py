"""What an utterance means that came while the agent spoke."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.turns.floor import judge

pytestmark = pytest.mark.unit

SUMMARY = "Te recojo en la Calle 72 #43-25 y pagas en efectivo. ¿Lo confirmas?"


def said(
    transcript: str,
    *,
    speech_ms: float = 900,
    heard: str = "Te recojo en ",
    unheard: str = SUMMARY,
    remaining_ms: int | None = 4000,
) -> str:
    return judge(transcript, speech_ms=speech_ms, heard=heard, unheard=unheard, remaining_ms=remaining_ms)


@pytest.mark.parametrize(
    "transcript",
    ["", " ", "…", "Ajá.", "ajá, ajá", "Mhm", "mmm...", "Hmm, hmm", "Uhum.", "ah", "Eh...", "Jajaja", "¡Ay!", "AJÁ"],
)
def test_who_coughs_or_listens_does_not_want_to_speak(transcript: str) -> None:
    assert said(transcript) == "resume"


@pytest.mark.parametrize("transcript", ["Sí", "sí, claro", "Ok", "Bueno.", "Ajá, listo", "Así es", "Muy bien", "dale"])
def test_who_agrees_before_anything_was_asked_only_listens(transcript: str) -> None:
    assert said(transcript) == "resume"


@pytest.mark.parametrize("transcript", ["Sí", "sí, claro", "Dale", "Ajá, listo"])
def test_who_agrees_after_the_question_was_heard_answers_it(transcript: str) -> None:
    assert said(transcript, heard=SUMMARY, unheard=" Quedo atento a lo que me digas.") == "interrupt"


@pytest.mark.parametrize("transcript", ["¡Aqudad!", "Dóquina.", "Achad", "Prado"])
def test_a_lone_word_that_takes_no_floor_is_a_sound_that_was_made_a_word(transcript: str) -> None:
    assert said(transcript) == "resume"
    assert said(transcript, heard=SUMMARY, unheard=" Quedo atento a lo que me digas.") == "interrupt"


@pytest.mark.parametrize(
    "transcript",
    [
        *["No", "No, espera", "Para", "Espérame un momento", "Cancela", "Mejor con Nequi", "Es la Calle 84"],
        *["Sí, pero con tarjeta", "¿Cuánto cuesta?", "Ajá, pero no es ahí", "Un momento", "Aló"],
    ],
)
def test_who_says_something_takes_the_floor(transcript: str) -> None:
    assert said(transcript) == "interrupt"
    assert said(transcript, remaining_ms=None) == "interrupt"


@pytest.mark.parametrize("transcript", ["La Cháet", "Achad. Achad.", "Sí, sea yo."])
def test_some_words_in_half_a_second_are_an_aja_that_was_misheard(transcript: str) -> None:
    assert said(transcript, speech_ms=576) == "resume"
    assert said(transcript, speech_ms=576, heard=SUMMARY, unheard=" Quedo atento.") == "interrupt"
    assert said(transcript, speech_ms=850) == "interrupt"


@pytest.mark.parametrize("transcript", ["No espera", "Para ahí", "Con Nequi", "Un momento"])
def test_words_that_take_the_floor_take_it_however_fast_they_are_said(transcript: str) -> None:
    assert said(transcript, speech_ms=400) == "interrupt"


@pytest.mark.parametrize("transcript", ["Sí", "No", "Ajá", "Con Nequi"])
def test_who_speaks_into_the_last_word_has_heard_the_answer(transcript: str) -> None:
    assert said(transcript, heard=SUMMARY[:-8], unheard=SUMMARY[-8:], remaining_ms=500) == "answer"


def test_a_noise_in_the_last_word_is_still_a_noise() -> None:
    assert said("", remaining_ms=100) == "resume"


@given(st.text(), st.floats(0, 60_000), st.text(), st.text(), st.none() | st.integers(0, 10**6))
def test_whatever_is_said_there_is_a_verdict(
    transcript: str, speech_ms: float, heard: str, unheard: str, remaining: int | None
) -> None:
    verdict = said(transcript, speech_ms=speech_ms, heard=heard, unheard=unheard, remaining_ms=remaining)
    assert verdict in ("resume", "interrupt", "answer")
