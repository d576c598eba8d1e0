"""The model of a measurement: who is given the long answer, and that the others are not alike."""

import pytest

from app.bench.steady_model import LONG_ANSWER, answer_to

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("said", ["Cuénteme cómo funciona el servicio.", "Hola, cuentame", "¿Me cuenta cómo es?"])
def test_who_asks_to_be_told_is_given_the_long_answer(said: str) -> None:
    assert answer_to([said]) == LONG_ANSWER


@pytest.mark.parametrize("said", ["Carrera cincuenta y uno be", "Calle cinquenta y dos.", "¿Cuánto cuesta?", ""])
def test_a_number_asks_for_nothing(said: str) -> None:
    assert answer_to([said]) != LONG_ANSWER


def test_answers_differ_from_their_first_words_on() -> None:
    openings = {" ".join(answer_to([f"frase {number}"]).split()[:6]) for number in range(200)}

    assert len(openings) > 100
