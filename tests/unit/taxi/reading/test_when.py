"""When riders want the taxi."""

import pytest

from app.taxi.reading import read_slots
from tests.unit.taxi.reading.tables import pairs

pytestmark = pytest.mark.unit

TIMES = """
ahora => ahora
ahora mismo => ahora
para ya => ahora
ya mismo => ahora
lo más pronto posible => ahora
lo necesito ya => ahora
es urgente => ahora
inmediatamente => ahora
a las 7 de la mañana => 07:00
a las 7 am => 07:00
7 am => 07:00
a las 7:30 pm => 19:30
a las siete y media de la noche => 19:30
para las 8 de la noche => 20:00
a las 3 y 15 de la tarde => 15:15
a las tres y cuarto de la tarde => 15:15
las 7 de la mañana => 07:00
a las 19:30 => 19:30
19:30 => 19:30
a las 07:30 => 07:30
a las 7 => a las 7:00
a las siete y media => a las 7:30
a la una => a la 1:00
a la una de la tarde => 13:00
a las 12 => a las 12:00
a las 12 del día => 12:00
a las 12 de la noche => 00:00
al mediodía => 12:00
a medianoche => 00:00
un cuarto para las ocho de la noche => 19:45
a las ocho menos cuarto de la noche => 19:45
a las 5 a. m. => 05:00
a las cinco p.m. => 17:00
a las 4 de la madrugada => 04:00
mañana => mañana
mañana a las 7 de la mañana => mañana 07:00
mañana a las 7 am => mañana 07:00
para mañana 7 am => mañana 07:00
mañana a las 7 => mañana a las 7:00
mañana por la tarde => mañana en la tarde
mañana en la mañana => mañana en la mañana
mañana en la tarde a las 4 => mañana 16:00
pasado mañana a las 6 pm => pasado mañana 18:00
hoy a las 5 de la tarde => hoy 17:00
esta noche => hoy en la noche
esta noche a las 9 => hoy 21:00
el lunes a las 8 am => el lunes 08:00
este viernes en la noche => el viernes en la noche
el 24 de diciembre a las 8 pm => el 24 de diciembre 20:00
en 30 minutos => en 30 minutos
en media hora => en 30 minutos
dentro de 20 minutos => en 20 minutos
en una hora => en 1 hora
en dos horas => en 2 horas
en hora y media => en 90 minutos
en quince minutos => en 15 minutos
que llegue en 10 minutos => en 10 minutos
en un ratico => en un rato
más tarde => más tarde
a las 7 no perdón a las 8 => a las 8:00
mañana no, mejor ahora => ahora
recógeme a las 3 de la tarde que mi vuelo sale a las 5 => 15:00
tomorrow at 7 am => mañana 07:00
in 20 minutes => en 20 minutos
right now => ahora
necesito un taxi => None
calle 7 # 30-20 => None
carrera 8 con calle 30 => None
el taxi llega en 10 minutos => None
ya llevo 20 minutos esperando => None
¿en cuánto llega? => None
buenas noches => None
buenos días => None
hasta mañana => None
por ahora no => None
barrio 20 de Julio => None
estoy en el 7 de Abril => None
Santo Domingo => None
ya te dije => None
a las 72 => None
voy para Las Tres Ave Marías => None
ahora te digo => None
calle 72 43 25 => None
"""


@pytest.mark.parametrize(("text", "expected"), pairs(TIMES))
def test_times_are_normalised_and_half_days_are_not_guessed(text: str, expected: str) -> None:
    assert str(read_slots(text).when) == expected
