"""What the simulated riders of ``voztaxi eval`` were misunderstood in, as small cases."""

import pytest

from app.taxi.places import Gazetteer, parse_address
from app.taxi.reading import Intent, intents, is_no, is_yes, read_slots

pytestmark = pytest.mark.unit

GAZETTEER = Gazetteer.load()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("no, perdón, el barrio es Colombia", "Colombia"),
        ("el barrio es lucero", "Lucero"),
        ("se llama san felipe", "San Felipe"),
        ("calle 87 #50-45 El Golf con tarjeta", "El Golf"),
        ("calle 44 #41-90, centro de barranquilla", "Centro"),
        ("El Carmen de Barranquilla", "El Carmen"),
        ("Villa Campestre... ah no, Villa Santos", "Villa Santos"),
        ("calle 79 #38-10, cerquita de buenavista, el barrio es alto prado", "Altos del Prado"),
    ],
)
def test_the_neighborhood_that_is_meant(text: str, name: str) -> None:
    assert parse_address(text, GAZETTEER).neighborhood == name


@pytest.mark.parametrize("text", ["soy Lucero", "me llamo Colombia Díaz", "mi mamá se llama Soledad"])
def test_the_name_of_a_person_is_no_neighborhood(text: str) -> None:
    assert parse_address(text, GAZETTEER).neighborhood is None


def test_doubled_words_of_a_bad_line_are_said_once() -> None:
    reading = parse_address("calle calle cuarenta y ocho numero numero dieciocho veinticuatro", GAZETTEER)
    assert reading.address == "Calle 48 #18-24"


def test_the_spans_cover_what_helps_at_the_door() -> None:
    text = "un taxi en la Calle 84 #51B-23, torre 2 apto 302 por favor"
    spans = parse_address(text, GAZETTEER).spans
    assert text[min(a for a, _ in spans) : max(b for _, b in spans)] == "Calle 84 #51B-23, torre 2 apto 302"


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("ah, no somos 3, somos 4 personas", "passengers", 4),
        ("no somos 3", "passengers", 3),
        ("two passengers", "passengers", 2),
        ("¿cuánto me va a costar?", "destination", None),
        ("voy para la clinica de la costa a visitar a mi suegra", "destination", "la clinica de la costa"),
        ("un taxi para llevar a mi mama que esta enferma a la clinica", "destination", "la clinica"),
        ("hoy se me dañó el carro", "when", None),
        ("mañana te digo", "when", None),
        ("que no me vaya a pitar", "notes", ("No pitar",)),
        ("soy Soledad Marriaga", "passenger_name", "Soledad Marriaga"),
        ("se llama san felipe", "passenger_name", None),
    ],
)
def test_the_slot_that_is_meant(text: str, field: str, value: object) -> None:
    assert getattr(read_slots(text), field) == value


@pytest.mark.parametrize(
    "text", ["por favor no lo vayas a cancelar", "no lo canceles", "no me lo vayan a cancelar", "no quiero cancelar"]
)
def test_who_asks_not_to_cancel_does_not_cancel(text: str) -> None:
    assert Intent.CANCEL not in intents(text)


def test_who_asks_whether_anybody_listens_wants_the_question_again() -> None:
    assert Intent.REPEAT in intents("alo me escucha")


def test_courtesies_do_not_hide_a_no_or_a_yes() -> None:
    assert is_no("No mi vida, eso es todo, muchas gracias")
    assert is_yes("sí mi vida, todo está correcto")
    assert not is_yes("que sí")
