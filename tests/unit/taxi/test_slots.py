"""What riders say beside the pick-up address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.taxi.slots import Slots, merge, read_name, read_slots, without_destination
from app.taxi.text import fold

pytestmark = pytest.mark.unit


def pairs(table: str) -> list[tuple[str, str]]:
    """Read lines of «sentence => expected»."""
    rows = [line.rsplit("=>", 1) for line in table.strip().splitlines()]
    return [(sentence.strip(), expected.strip()) for sentence, expected in rows]


def lines(table: str) -> list[str]:
    return [line.strip() for line in table.strip().splitlines()]


PAYMENTS = """
efectivo => efectivo
en efectivo => efectivo
pago en efectivo => efectivo
pago con efectivo por favor => efectivo
en cash => efectivo
cash => efectivo
plata => efectivo
en plata => efectivo
pago con plata en mano => efectivo
de contado => efectivo
con billete => efectivo
pago con un billete de 50 => efectivo
efetivo => efectivo
efectibo => efectivo
en efectvo => efectivo
fectivo => efectivo
cancelo en efectivo => efectivo
le cancelo en efectivo al llegar => efectivo
voy a pagar en efectivo => efectivo
nequi => nequi
con nequi => nequi
Nequi! => nequi
pago con nequi => nequi
por neki => nequi
nekui => nequi
nequy => nequi
con neqi => nequi
con el nequi => nequi
por nequi por favor => nequi
pago nequi => nequi
transferencia por nequi => nequi
te hago transferencia a nequi => nequi
ne qui => nequi
¿puedo pagar con nequi? => nequi
puedo pagar con nequi => nequi
un taxi que reciba nequi => nequi
necesito un taxi que acepte nequi => nequi
daviplata => daviplata
davi plata => daviplata
por davi => daviplata
pago con daviplta => daviplata
con dabiplata => daviplata
david plata => daviplata
tarjeta => tarjeta
con tarjeta => tarjeta
con tarjeta de crédito => tarjeta
tarjeta debito => tarjeta
pago con débito => tarjeta
crédito => tarjeta
pago con visa => tarjeta
mastercard => tarjeta
con datáfono => tarjeta
un taxi con data fono => tarjeta
que tenga datáfono => tarjeta
targeta => tarjeta
con tarjera => tarjeta
tarjeta no, mejor efectivo => efectivo
tarjeta no mejor efectivo => efectivo
no tengo efectivo, pago con nequi => nequi
no tengo efectivo pago con nequi => nequi
no efectivo nequi => nequi
no, mejor con nequi => nequi
no mejor nequi => nequi
no, nequi => nequi
efectivo no, nequi => nequi
efectivo, no, perdón, nequi => nequi
efectivo mejor nequi => nequi
ya no con efectivo, con daviplata => daviplata
cambia el pago a nequi => nequi
cambia de efectivo a nequi => nequi
cambie efectivo por nequi => nequi
en vez de nequi efectivo => efectivo
no es nequi es daviplata => daviplata
no es nequi sino efectivo => efectivo
prefiero nequi que efectivo => nequi
sin tarjeta, en efectivo => efectivo
pago en efectivo, no con tarjeta => efectivo
bueno entonces en efectivo => efectivo
sí, pero con nequi => nequi
nequi no tengo, efectivo => efectivo
¿reciben bitcoin? si no, pago en efectivo => efectivo
"""

NO_PAYMENTS = """
necesito un taxi
calle 72 # 43-25
¿reciben nequi?
reciben nequi
aceptan tarjeta
¿tienen datáfono?
¿cuánto vale la carrera?
efectivo o nequi
nequi o daviplata
mitad en efectivo mitad en nequi
no nequi
sin tarjeta
no tengo efectivo
no tengo plata
el efecto invernadero
barrio La Plata
la transparencia
edificio Visa Real
voy por la calle 30
quien viene
aqui en la 72
a nombre de David
me llamo Davinson
mi hermano debe plata a la tienda de la calle 30
"""

REFUSED = """
pago con bitcoin => bitcoin
con un vale => vale
tengo un vale corporativo => vale
con cheque => cheque
a crédito => a crédito
me lo fía => None
fiado => a crédito
por Bre-B => Bre-B
con bre b => Bre-B
con llave => Bre-B
transferencia => transferencia
por transferencia => transferencia
pago con transferencia bancolombia => transferencia
te transfiero => transferencia
en dólares => moneda extranjera
con paypal => PayPal
¿reciben bitcoin? => bitcoin
¿reciben transferencias? => transferencia
cuánto vale => None
vale => None
vale la pena => None
me vale => None
mi llave un taxi => None
bitcoin no, nequi => None
pago con transferencia o efectivo => None
"""

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

NOTES = """
llevo un perro => Pasajero lleva mascota
voy con mi perrito => Pasajero lleva mascota
viajo con un gato pequeño => Pasajero lleva mascota
llevo mascota => Pasajero lleva mascota
un taxi pet friendly => Pasajero lleva mascota
llevo dos maletas => Pasajero lleva equipaje
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

PHONES = """
3001234567 => 3001234567
mi celular es 300 123 4567 => 3001234567
+57 300 123 4567 => 3001234567
+573001234567 => 3001234567
(300) 123-4567 => 3001234567
300-123-45-67 => 3001234567
300 12 34 567 => 3001234567
tres cero cero uno dos tres cuatro cinco seis siete => 3001234567
trescientos doce cuatro cincuenta y seis setenta y ocho noventa y uno => 3124567891
trescientos quince ocho ocho ocho veinte treinta => 3158882030
6053001234 => None
30012345678 => None
300123456 => None
calle 72 # 43-25 => None
calle 72 numero 43 25 => None
"""

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


@pytest.mark.parametrize(("text", "expected"), pairs(PAYMENTS))
def test_a_way_to_pay_is_read_by_any_of_its_names(text: str, expected: str) -> None:
    found = read_slots(text)

    assert found.payment_method == expected
    assert found.refused_payment is None


@pytest.mark.parametrize("text", lines(NO_PAYMENTS))
def test_a_question_a_denial_or_a_lookalike_chooses_no_payment(text: str) -> None:
    found = read_slots(text)

    assert found.payment_method is None
    assert found.refused_payment is None


@pytest.mark.parametrize(("text", "expected"), pairs(REFUSED))
def test_what_is_not_accepted_is_named(text: str, expected: str) -> None:
    assert str(read_slots(text).refused_payment) == expected


@pytest.mark.parametrize(("text", "expected"), pairs(FEATURES))
def test_features_asked_of_the_vehicle_are_read(text: str, expected: str) -> None:
    assert ("|".join(read_slots(text).vehicle_features) or "None") == expected


@pytest.mark.parametrize(("text", "expected"), pairs(NOTES))
def test_the_driver_gets_notes_in_the_third_person(text: str, expected: str) -> None:
    assert ("|".join(read_slots(text).notes) or "None") == expected


@pytest.mark.parametrize(("text", "expected"), pairs(REMOVED))
def test_what_is_taken_back_is_named_by_what_it_was(text: str, expected: str) -> None:
    assert ("|".join(read_slots(text).removed) or "None") == expected


@pytest.mark.parametrize(("text", "expected"), pairs(NAMES))
def test_a_name_is_read_after_the_words_that_announce_one(text: str, expected: str) -> None:
    assert str(read_slots(text).passenger_name) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Carlos Pérez", "Carlos Pérez"),
        ("carlos pérez", "Carlos Pérez"),
        ("soy Ana", "Ana"),
        ("doña Rosa Elvira", "Rosa Elvira"),
        ("Juan.", "Juan"),
        ("calle 72", None),
        ("no", None),
        ("necesito un taxi", None),
        ("", None),
        ("Carlos en la calle 72", None),
    ],
)
def test_an_answer_that_is_a_name_is_read_as_one(text: str, expected: str | None) -> None:
    assert read_name(text) == expected


@pytest.mark.parametrize(("text", "expected"), pairs(PASSENGERS))
def test_passengers_are_counted(text: str, expected: str) -> None:
    assert str(read_slots(text).passengers) == expected


@pytest.mark.parametrize(("text", "expected"), pairs(TIMES))
def test_times_are_normalised_and_half_days_are_not_guessed(text: str, expected: str) -> None:
    assert str(read_slots(text).when) == expected


@pytest.mark.parametrize(("text", "expected"), pairs(PHONES))
def test_mobile_numbers_are_read_written_or_spoken(text: str, expected: str) -> None:
    assert str(read_slots(text).phone) == expected


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


class TestMerge:
    def test_later_wins_and_silence_keeps(self) -> None:
        old = read_slots("pago en efectivo, somos 3, a las 7 pm, a nombre de Ana")

        merged = merge(old, read_slots("mejor con nequi, somos 4"))

        assert (merged.payment_method, merged.passengers) == ("nequi", 4)
        assert (merged.when, merged.passenger_name) == ("19:00", "Ana")

    def test_features_and_notes_add_up_in_order_without_repeats(self) -> None:
        merged = merge(read_slots("con parrilla y llevo un perro"), read_slots("con aire, parrilla y llevo maletas"))

        assert merged.vehicle_features == ("parrilla", "aire acondicionado")
        assert merged.notes == ("Pasajero lleva mascota", "Pasajero lleva equipaje")

    def test_what_is_taken_back_goes(self) -> None:
        merged = merge(
            read_slots("llevo un perro y maletas, con parrilla"), read_slots("ya no llevo perro, sin parrilla")
        )

        assert merged.notes == ("Pasajero lleva equipaje",)
        assert merged.vehicle_features == ()

    def test_what_is_taken_back_may_be_said_again(self) -> None:
        gone = merge(read_slots("llevo un perro"), read_slots("ya no llevo perro"))

        assert merge(gone, read_slots("bueno sí llevo el perro")).notes == ("Pasajero lleva mascota",)

    def test_a_payment_taken_back_is_open_again(self) -> None:
        assert merge(read_slots("con nequi"), read_slots("no tengo nequi")).payment_method is None

    def test_a_destination_taken_back_is_open_again(self) -> None:
        assert merge(read_slots("voy para el centro"), read_slots("ya no voy para el centro")).destination is None

    def test_an_accepted_payment_settles_a_refused_one(self) -> None:
        refused = merge(Slots(), read_slots("pago con bitcoin"))

        assert refused.refused_payment == "bitcoin"
        assert merge(refused, read_slots("entonces efectivo")).refused_payment is None
        assert merge(refused, read_slots("calle 72")).refused_payment == "bitcoin"


SENTENCES = st.lists(
    st.sampled_from(
        [sentence for table in (PAYMENTS, FEATURES, NOTES, TIMES, DESTINATIONS) for sentence, _ in pairs(table)]
    ),
    min_size=1,
    max_size=3,
).map(", ".join)


@given(st.text(max_size=4000))
def test_any_text_is_read(text: str) -> None:
    found = read_slots(text)

    assert merge(found, found).payment_method == found.payment_method
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


@given(SENTENCES, SENTENCES, SENTENCES)
def test_merging_does_not_depend_on_how_sentences_are_grouped(first: str, second: str, third: str) -> None:
    one, two, three = read_slots(first), read_slots(second), read_slots(third)

    assert merge(merge(one, two), three).notes == merge(one, merge(two, three)).notes
    assert merge(one, Slots()) == one
    assert merge(Slots(), one) == one


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
