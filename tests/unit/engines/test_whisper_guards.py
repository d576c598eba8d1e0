"""What of Whisper's guesses is believed."""

import pytest

from app.engines.stt.whisper import _Guess, believed, once

pytestmark = pytest.mark.unit

PROMPT = "Sí, por favor. El Prado, Ciudad Jardín."


@pytest.mark.parametrize(
    ("text", "logprob", "no_speech", "expected"),
    [
        ("Estoy en El Prado.", -0.3, 0.02, "Estoy en El Prado."),
        ("El Prado.", -0.3, 0.02, "El Prado."),
        ("El Prado, Ciudad,", -0.83, 0.29, ""),
        ("El Prado.", -0.47, 0.49, "El Prado."),
        ("Sí,", -1.19, 0.37, "Sí,"),
        ("Sí,", -1.19, 0.62, ""),
        ("No.", -1.2, 0.3, "No."),
        ("un poco más", -2.7, 0.74, ""),
        ("¡Vamos!", -1.0, 0.6, ""),
        ("Subtítulos realizados por la comunidad de Amara.org", -0.1, 0.0, ""),
        ("Pago con Nequi. ¡Gracias por ver el video!", -0.2, 0.0, "Pago con Nequi."),
        ("Gracias.", -0.4, 0.03, "Gracias."),
        ("...", -0.4, 0.03, ""),
        ("no, " * 40, -0.1, 0.0, ""),
    ],
)
def test_what_somebody_said_is_kept_and_what_is_made_up_is_not(
    text: str, logprob: float, no_speech: float, expected: str
) -> None:
    assert believed(_Guess(text, logprob, no_speech, PROMPT)) == expected


ADDRESS = "Carrera cincuenta y uno be número setenta y nueve cuarenta"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ADDRESS, ADDRESS),
        (f"{ADDRESS}, {ADDRESS.lower()},", ADDRESS),
        (f" {ADDRESS}. {ADDRESS}. {ADDRESS}. Carrera cincu", f"{ADDRESS}."),
        (f"{ADDRESS}, {ADDRESS[:-3]}", ADDRESS),
        (f"{ADDRESS}, {ADDRESS}, cuarenta", f"{ADDRESS}, {ADDRESS}, cuarenta"),
        (f"{ADDRESS}, {ADDRESS[:-8]} ochenta", f"{ADDRESS}, {ADDRESS[:-8]} ochenta"),
        ("Sesenta y uno sesenta y uno", "Sesenta y uno sesenta y uno"),
        ("No, no, no, no.", "No, no, no, no."),
        ("", ""),
    ],
)
def test_a_phrase_that_is_written_again_and_again_was_said_once(text: str, expected: str) -> None:
    assert once(text) == expected


@pytest.mark.parametrize(
    ("text", "has_end", "expected"),
    [
        (ADDRESS, True, False),
        ("No, no, no, no.", True, False),
        ("doscientos" * 12, True, True),
        ("Tu taxi va en camino a Calle" + "-a" * 30, False, True),
    ],
)
def test_what_goes_on_in_a_circle_is_heard_again(text: str, has_end: bool, expected: bool) -> None:
    assert _Guess(text, -0.2, 0.0, PROMPT, has_end=has_end).turns_in_a_circle is expected
