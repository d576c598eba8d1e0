"""How a rider says what a scenario has in writing."""

import pytest

from app.bench.bookings import mistakes, word_error_rate
from app.bench.orally import as_said, otherwise, words_in_full
from app.evals.scenario import Topic

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Calle 72 #43-25", "Calle setenta y dos número cuarenta y tres veinticinco."),
        ("carrera 26 # 31-08", "Carrera veintiséis número treinta y uno cero ocho."),
        ("Cra 51B No. 79-40", "Carrera cincuenta y uno be número setenta y nueve cuarenta."),
        ("Calle 90 #42B1-61", "Calle noventa número cuarenta y dos be uno sesenta y uno."),
        ("si, la direccion es la calle 5", "Sí, la dirección es la calle cinco."),
        ("calle noventa numero cuarenta y dos b uno", "Calle noventa número cuarenta y dos be uno."),
        ("¿a las 7:00?", "¿a las siete?"),
    ],
)
def test_numbers_letters_and_accents_are_said(written: str, said: str) -> None:
    assert as_said(written) == said


@pytest.mark.parametrize(
    ("text", "topic", "again"),
    [
        ("con nequi", "payment", "Voy a pagar con Nequi"),
        ("El Prado", "neighborhood", "El barrio se llama El Prado"),
        ("sí señora", "confirm", "Sí, confirmo el taxi"),
        ("No, pago con Nequi", "confirm", "No, pago con Nequi"),
        ("no sé el barrio", "neighborhood", "no sé el barrio"),
        ("pago con nequi y llevo un perro", "payment", "pago con nequi y llevo un perro"),
        ("Calle 72", "address", "Calle 72"),
        ("hola", None, "hola"),
    ],
)
def test_who_is_not_understood_says_it_in_a_sentence(text: str, topic: Topic | None, again: str) -> None:
    assert otherwise(text, topic) == again


def test_what_a_recogniser_wrote_is_compared_word_by_word() -> None:
    line = {"said": "Calle setenta y dos número cuarenta y tres.", "understood": ["Calle 72 #43"]}
    assert words_in_full("Calle 72 #43").split() == ["Calle", "setenta", "y", "dos", "número", "cuarenta", "y", "tres"]
    assert word_error_rate([{"lines": [line]}]) == 0
    misheard = {"said": "Pago con Nequi.", "understood": ["Pago con Necky."]}
    assert mistakes([{"lines": [line, misheard]}]).most_common() == [(("nequi", "necky"), 1)]
