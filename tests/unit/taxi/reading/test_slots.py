"""What one sentence says, all of it together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.taxi.reading import Slots, read_slots, without_destination
from app.taxi.text import fold
from tests.unit.taxi.reading.tables import pairs
from tests.unit.taxi.reading.test_destination import DESTINATIONS
from tests.unit.taxi.reading.test_features import FEATURES
from tests.unit.taxi.reading.test_notes import NOTES
from tests.unit.taxi.reading.test_payment import PAYMENTS
from tests.unit.taxi.reading.test_when import TIMES

pytestmark = pytest.mark.unit


def test_one_sentence_may_say_everything() -> None:
    found = read_slots(
        "hola soy carlos pérez, un taxi en la calle 72 43 25 para el aeropuerto mañana a las 5 am, somos dos, llevo un "
        "perro, con baúl grande y pago con nequi, mi cel es 300 123 4567"
    )

    assert found == Slots(
        payment_method="nequi",
        vehicle_features=("baúl grande",),
        notes=("Pasajero lleva mascota",),
        passenger_name="Carlos Pérez",
        passengers=2,
        when="mañana 05:00",
        destination="el aeropuerto",
        phone="3001234567",
    )


def test_so_may_a_recogniser_without_marks_or_accents() -> None:
    found = read_slots(
        "buenas tardes necesito un taxi en la carrera cuarenta y tres numero setenta y dos quince voy para el estadio "
        "somos tres llevo una maleta y pago en efectivo"
    )

    assert found == Slots(
        payment_method="efectivo",
        notes=("Pasajero lleva equipaje",),
        passengers=3,
        destination="el estadio",
    )


SENTENCES = st.lists(
    st.sampled_from(
        [sentence for table in (PAYMENTS, FEATURES, NOTES, TIMES, DESTINATIONS) for sentence, _ in pairs(table)]
    ),
    min_size=1,
    max_size=3,
).map(", ".join)


@given(st.text(max_size=4000))
def test_any_text_is_read(text: str) -> None:
    assert isinstance(read_slots(text), Slots)
    assert len(fold(text)) == len(text)
    assert len(without_destination(text)) == len(text)


@pytest.mark.parametrize("text", ["a las ² de la noche", "cel 300² 123", "somos ٤", "½ hora", "ﬁn", "İ", "a\u0301"])
def test_what_only_looks_like_a_digit_or_a_letter_is_read(text: str) -> None:
    assert isinstance(read_slots(text), Slots)
    assert len(without_destination(text)) == len(text)


@given(SENTENCES)
def test_case_and_accents_do_not_matter(text: str) -> None:
    plain, loud = read_slots(fold(text)), read_slots(text.upper())

    for name in ("payment_method", "vehicle_features", "notes", "passengers", "when", "phone", "removed"):
        assert getattr(plain, name) == getattr(read_slots(text), name) == getattr(loud, name)


@given(SENTENCES)
def test_the_blanked_sentence_has_no_destination_left_and_keeps_every_other_position(text: str) -> None:
    blanked = without_destination(text)

    assert all(left in (" ", right) for left, right in zip(blanked, text, strict=True))


@pytest.mark.parametrize(
    "unit",
    [
        "1",
        "a ",
        "y ",
        "no ",
        "con ",
        "voy a ",
        "hasta ",
        "de x a y ",
        "soy ",
        "uno ",
        "para ",
        "a las 7 ",
        "perro ",
        "300 ",
        "\n",
        "en ",
    ],
)
def test_a_flood_of_one_word_is_read(unit: str) -> None:
    text = (unit * 4000)[:4000]

    assert isinstance(read_slots(text), Slots)
    assert len(without_destination(text)) == len(text)
