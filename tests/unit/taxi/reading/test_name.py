"""For whom the taxi is."""

import pytest

from app.taxi.reading import read_slots
from tests.unit.taxi.reading.tables import pairs

pytestmark = pytest.mark.unit

NAMES = """
me llamo Juan Pérez => Juan Pérez
me llamo maría josé de la hoz => María José de la Hoz
mi nombre es carlos y pago con nequi => Carlos
a nombre de Ana Gómez => Ana Gómez
a nombre de la señora Marta => Marta
soy carlos perez => Carlos Perez
soy Ana, necesito un taxi => Ana
hola habla luis => Luis
de parte de Doña Rosa => Rosa
la pasajera se llama Luz Marina => Luz Marina
nombre: JOSÉ LUIS => José Luis
me llamo juan necesito un taxi => Juan
mi nombre es Pedro de la calle 72 => Pedro
es para el señor Ramón Díaz => Ramón Díaz
soy de soledad => None
soy cliente => None
soy yo => None
soy alérgico => None
soy una persona mayor => None
con nequi => None
para la calle 72 => None
necesito un taxi => None
es para mañana => None
habla español => None
me llamo => None
a nombre de => None
"""


@pytest.mark.parametrize(("text", "expected"), pairs(NAMES))
def test_a_name_is_read_after_the_words_that_announce_one(text: str, expected: str) -> None:
    assert str(read_slots(text).passenger_name) == expected
