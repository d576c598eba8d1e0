"""What riders ask of the vehicle."""

import pytest

from app.taxi.reading import read_slots
from tests.unit.taxi.reading.tables import pairs

pytestmark = pytest.mark.unit

FEATURES = """
con baúl grande => baúl grande
que tenga buen baúl => baúl grande
un carro con baul => baúl grande
maletero amplio => baúl grande
con parrilla => parrilla
necesito parrilla => parrilla
que tenga parrilla y aire => parrilla|aire acondicionado
taxi de carga => carga
para un trasteo => carga
llevo carga => carga
una camioneta => camioneta
con portabicicletas => portabicicleta
con porta bicicleta => portabicicleta
con aire => aire acondicionado
que tenga aire acondicionado por favor => aire acondicionado
con aire y baul grande => aire acondicionado|baúl grande
con silla de bebé => silla de bebé
silla para niño => silla de bebé
taxi accesible => accesible
un taxi para silla de ruedas => accesible
un carro grande => vehículo amplio
que no sea zapatico => vehículo amplio
necesito un taxi => None
voy a Buenos Aires => None
el parque al aire libre => None
zona de carga => None
se me descargó el celular => None
calle 72 43 25 => None
no necesito parrilla => None
sin aire => None
ya no quiero camioneta => None
"""


@pytest.mark.parametrize(("text", "expected"), pairs(FEATURES))
def test_features_asked_of_the_vehicle_are_read(text: str, expected: str) -> None:
    assert ("|".join(read_slots(text).vehicle_features) or "None") == expected
