"""How many travel."""

import pytest

from app.taxi.reading import read_slots
from tests.unit.taxi.reading.tables import pairs

pytestmark = pytest.mark.unit

PASSENGERS = """
somos 4 => 4
somos cuatro => 4
somos cuatro personas => 4
vamos 3 => 3
vamos tres personas => 3
4 pasajeros => 4
para dos personas => 2
cinco personas => 5
voy solo => 1
viajo sola => 1
voy yo sola => 1
somos mi mamá y yo => 2
mi esposa y yo => 2
somos 2 adultos y un niño => 3
dos adultos y dos niños => 4
somos siete => 7
para una persona => 1
quiero hablar con una persona => None
somos una familia => None
vamos 3 cuadras más allá => None
calle 72 43 25 => None
necesito un taxi => None
somos 0 => None
somos 900 => None
"""


@pytest.mark.parametrize(("text", "expected"), pairs(PASSENGERS))
def test_passengers_are_counted(text: str, expected: str) -> None:
    assert str(read_slots(text).passengers) == expected
