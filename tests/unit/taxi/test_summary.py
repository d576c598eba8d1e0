"""The booking in words, and whether it was read."""

import pytest

from app.models.booking import Place
from app.taxi.draft import Draft
from app.taxi.summary import summarise, was_read

pytestmark = pytest.mark.unit

DRAFT = Draft(
    pickup=Place(address="Calle 72 #43-25", neighborhood="El Prado", city="Barranquilla"),
    pickup_ready=True,
    payment_method="efectivo",
    notes=["Pasajero lleva mascota"],
)


def test_the_summary_tells_everything_that_is_sent() -> None:
    text = summarise(DRAFT.model_copy(update={"passenger_name": "Marta", "passengers": 3}))

    for part in ("Calle 72 #43-25", "El Prado", "efectivo", "mascota", "Marta", "3 personas"):
        assert part in text


@pytest.mark.parametrize(
    ("spoken", "read"),
    [
        (summarise(DRAFT), True),
        (summarise(DRAFT, "en"), True),
        ("Calle 72 número 43 - 25, El Prado. ¿Confirmas?", True),
        ("Tu taxi a El Prado. ¿Confirmas?", False),
        ("Calle 72 #43-52. ¿Confirmas?", False),
        ("", False),
    ],
)
def test_a_summary_without_the_numbers_of_the_address_was_not_read(spoken: str, read: bool) -> None:
    assert was_read(DRAFT, spoken) is read


def test_a_place_without_numbers_is_read_by_its_name() -> None:
    place = DRAFT.model_copy(update={"pickup": Place(address="Estadio Metropolitano", city="Barranquilla")})

    assert was_read(place, "Te recogemos en el estadio metropolitano, ¿sí?")
    assert not was_read(place, "Te recogemos en el estadio, ¿sí?")


def test_a_change_is_another_draft_and_looking_things_up_is_not() -> None:
    assert DRAFT.fingerprint() != DRAFT.model_copy(update={"payment_method": "nequi"}).fingerprint()
    assert DRAFT.fingerprint() == DRAFT.model_copy(update={"specials_settled": True}).fingerprint()
