"""Where riders want to go."""

import pytest

from app.taxi.reading import read_slots, without_destination
from tests.unit.taxi.reading.tables import lines, pairs

pytestmark = pytest.mark.unit

DESTINATIONS = """
voy para el aeropuerto => el aeropuerto
voy al aeropuerto => el aeropuerto
voy pal centro => el centro
voy pa la 72 => la 72
voy hacia Buenavista => Buenavista
vamos para la calle 30 => la calle 30
voy a Soledad => Soledad
voy a Riomar => Riomar
voy a la clínica Portoazul => la clínica Portoazul
con destino a Puerto Colombia => Puerto Colombia
con destino al centro => el centro
destino: la Terminal => la Terminal
mi destino es Villa Campestre => Villa Campestre
el destino es la calle 84 con 46 => la calle 84 con 46
cambia el destino al Portal del Prado => el Portal del Prado
que me lleve a la carrera 46 con 84 => la carrera 46 con 84
me lleva al estadio => el estadio
llévame a Unicentro => Unicentro
llevarme hasta la Terminal => la Terminal
quiero que me lleven a la cra. 46 #84-20, barrio El Recreo, pago con daviplata => la cra. 46 #84-20, barrio El Recreo
para ir a la Universidad del Norte => la Universidad del Norte
necesito ir al Hospital Cari => el Hospital Cari
tengo que llegar al aeropuerto a las 5 => el aeropuerto
me deja en la 84 => la 84
recógeme en la calle 72 con 46 y voy para Buenavista => Buenavista
recógeme en la calle 72 y llévame a la calle 30 => la calle 30
de la calle 72 a la carrera 46 con 84 => la carrera 46 con 84
un taxi de la calle 72 a la carrera 46 con 84 en efectivo => la carrera 46 con 84
desde la calle 72 hasta el centro => el centro
desde Villa Carolina hasta el centro somos 4 => el centro
un taxi de villa carolina a buenavista => buenavista
de la 72 con 43 a la 84 con 51b => la 84 con 51b
de mi casa al trabajo => el trabajo
un taxi en la calle 72 con 46 para el aeropuerto => el aeropuerto
necesito un taxi en la carrera 43 72 15 para buenavista => buenavista
voy para el centro y pago con nequi => el centro
voy para el centro en efectivo => el centro
voy para el centro somos tres => el centro
voy para el aeropuerto con dos maletas => el aeropuerto
voy para el centro a las 5 de la tarde => el centro
voy para la clínica general del norte con mi abuela => la clínica general del norte
voy para el centro no perdón para el aeropuerto => el aeropuerto
voy para el centro, no, mejor para la Terminal => la Terminal
no voy para el centro sino para la terminal => la terminal
ya no voy para el centro, voy para la terminal => la terminal
¿cuánto me cobran al aeropuerto? => el aeropuerto
cuánto vale una carrera al centro => el centro
cuánto cuesta hasta Soledad => Soledad
cuanto cobran de aqui al aeropuerto => el aeropuerto
una carrera para el Gran Malecón => el Gran Malecón
voy para la calle 45 y 46 => la calle 45 y 46
voy para la calle setenta y dos con cuarenta y tres y pago con nequi => la calle setenta y dos con cuarenta y tres
i'm going to the airport => the airport
"""


PICK_UPS_ONLY = """
necesito un taxi a la Calle 72 #43-25
taxi para la calle 72
un taxi al edificio Miramar
mándame un taxi a la carrera 46 con 84
mándame un taxi en la calle 72
mándame un taxi hasta la calle 72
un taxi para la calle 72 con 43 para 4 personas
un taxi en la calle 72 para ahora
un taxi en la calle 72 con 46 para las 7
un taxi en la calle 72 43 25 para mañana
un taxi para el barrio El Prado
estoy en la calle 72
recógeme en Buenavista
calle 72 # 43-25
carrera 12 a numero 77 b 1 67
calle doce a numero siete veinte
Carrera 46 de la Calle 72 a la 76 no
taxi de carga a la calle 72
un taxi de 4 puertas a la calle 72
necesito un taxi de una a la calle 72
hasta luego
hasta mañana
voy a pagar con nequi
voy a necesitar baúl grande
voy a estar en la portería
vamos a ser cuatro
ya voy para abajo
voy para afuera
cambia de efectivo a nequi
de 7 a 8
a nombre de Ana
la dirección es carrera 46 84 20
vengan hasta la portería
a las 7 de la noche
"""


@pytest.mark.parametrize(("text", "expected"), pairs(DESTINATIONS))
def test_a_marked_place_is_the_destination(text: str, expected: str) -> None:
    assert read_slots(text).destination == expected


@pytest.mark.parametrize("text", lines(PICK_UPS_ONLY))
def test_an_address_without_a_mark_is_the_pick_up(text: str) -> None:
    assert read_slots(text).destination is None
    assert without_destination(text) == text


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("recógeme en la calle 72 y voy para el aeropuerto", "recógeme en la calle 72"),
        ("de la calle 72 a la carrera 46 con 84", "de la calle 72"),
        ("desde la calle 72 hasta el centro, pago con nequi", "desde la calle 72                , pago con nequi"),
        ("voy para el aeropuerto desde la calle 72", "desde la calle 72"),
        ("un taxi en la calle 72 con 46 para el aeropuerto", "un taxi en la calle 72 con 46"),
        ("voy para el centro", ""),
        ("calle 72 # 43-25", "calle 72 # 43-25"),
    ],
)
def test_the_pick_up_remains_when_the_destination_is_blanked_out(text: str, rest: str) -> None:
    blanked = without_destination(text)

    assert len(blanked) == len(text)
    assert blanked.strip() == rest


@pytest.mark.parametrize(
    ("text", "destination"),
    [
        ("Calle 84 #51B-23, ahí es para donde voy", "Calle 84 #51B-23"),
        ("Calle 84 #51B-23, Riomar, para allá voy", "Calle 84 #51B-23, Riomar"),
        ("Centro Comercial Buenavista, pa allá voy", "Centro Comercial Buenavista"),
        ("A la Carrera 53 #100-50 es que voy", "la Carrera 53 #100-50"),
        ("Calle 84 #51B-23 es a donde voy", "Calle 84 #51B-23"),
        ("Calle 84 #51B-23. Ese es mi destino", "Calle 84 #51B-23"),
        ("efectivo y la calle 90 numero 53 22 para alla voy", "la calle 90 numero 53 22"),
        ("Estoy en El Prado. El aeropuerto, para allá vamos", "El aeropuerto"),
        ("Calle 84 #51B-23, that's where I'm going", "Calle 84 #51B-23"),
    ],
)
def test_a_place_is_made_the_destination_afterwards(text: str, destination: str) -> None:
    slots = read_slots(text)

    assert slots.destination == destination
    assert not slots.goes_there
    assert destination not in without_destination(text)


@pytest.mark.parametrize("text", ["ahí es para donde voy", "para allá voy", "no, es que ahí es a donde voy"])
def test_alone_it_is_about_the_place_said_before(text: str) -> None:
    slots = read_slots(text)

    assert slots.goes_there
    assert slots.destination is None


@pytest.mark.parametrize(
    "text", ["¿para dónde voy?", "ya voy para allá a la puerta", "voy saliendo", "allá voy a estar"]
)
def test_other_ways_to_go_mark_nothing(text: str) -> None:
    slots = read_slots(text)

    assert not slots.goes_there


def test_tomorrow_is_no_destination() -> None:
    assert read_slots("I need a taxi tomorrow at 9:00").destination is None
