"""What riders take back."""

import pytest

from app.taxi.reading import read_slots
from tests.unit.taxi.reading.tables import pairs

pytestmark = pytest.mark.unit

REMOVED = """
ya no llevo perro => Pasajero lleva mascota
no llevo mascota => Pasajero lleva mascota
quita lo del perro => Pasajero lleva mascota
sin perro => Pasajero lleva mascota
ya no necesito baúl grande => baúl grande
quita el baúl => baúl grande
sin aire acondicionado => aire acondicionado
no necesito parrilla => parrilla
no tengo efectivo => efectivo
ya no voy para el aeropuerto => destino
llevo un perro => None
necesito un taxi => None
"""


@pytest.mark.parametrize(("text", "expected"), pairs(REMOVED))
def test_what_is_taken_back_is_named_by_what_it_was(text: str, expected: str) -> None:
    assert ("|".join(read_slots(text).removed) or "None") == expected
