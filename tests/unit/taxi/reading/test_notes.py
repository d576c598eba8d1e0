"""What the driver should know."""

import pytest

from app.taxi.reading import read_slots
from tests.unit.taxi.reading.tables import pairs

pytestmark = pytest.mark.unit

NOTES = """
llevo un perro => Pasajero lleva mascota
voy con mi perrito => Pasajero lleva mascota
viajo con un gato pequeño => Pasajero lleva mascota
llevo mascota => Pasajero lleva mascota
un taxi pet friendly => Pasajero lleva mascota
llevo dos maletas => Pasajero lleva equipaje
Debo dos maletas. => Pasajero lleva equipaje
voy con equipaje => Pasajero lleva equipaje
tengo tres maletas grandes => Pasajero lleva equipaje
llevo un perro y dos maletas => Pasajero lleva mascota|Pasajero lleva equipaje
llevo mercado => Pasajero lleva mercado
llevo unas cajas => Pasajero lleva paquetes
llevo una bicicleta => Pasajero lleva bicicleta
voy con un bebé => Pasajero viaja con niños
vamos con dos niños => Pasajero viaja con niños
voy con mi abuela => Pasajero viaja con adulto mayor
uso silla de ruedas => Pasajero usa silla de ruedas
llevo silla de ruedas => Pasajero usa silla de ruedas
estoy embarazada => Pasajera embarazada
ando con muletas => Pasajero usa muletas o caminador
llevo una guitarra => Pasajero lleva instrumento musical
llevo una nevera => Pasajero lleva objetos voluminosos
llámame cuando llegues => Llamar al llegar
que me llame al llegar => Llamar al llegar
llamar al llegar => Llamar al llegar
que pite cuando llegue => Pitar al llegar
toque el timbre => Timbrar al llegar
lo espero en la portería => Pasajero espera en la portería
tengo afán => Pasajero tiene prisa
que maneje despacio => Conducir despacio
necesito cambio de 50 mil => Llevar cambio para un billete de $50.000
ida y vuelta => Viaje de ida y vuelta
con perro caliente => None
el puesto de perros calientes => None
frente a la veterinaria de mascotas => None
al lado de la tienda de mascotas => None
jardín infantil los niños => None
hospital de niños => None
ya no llevo perro => None
no llevo maletas => None
sin mascota => None
necesito un taxi => None
calle 72 43 25 => None
llama al taxi => None
"""


@pytest.mark.parametrize(("text", "expected"), pairs(NOTES))
def test_the_driver_gets_notes_in_the_third_person(text: str, expected: str) -> None:
    assert ("|".join(read_slots(text).notes) or "None") == expected
