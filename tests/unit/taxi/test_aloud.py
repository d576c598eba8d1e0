"""How numbers, addresses, prices and plates are said in Barranquilla."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.taxi.aloud import aloud
from app.taxi.phrases import _PHRASES

pytestmark = pytest.mark.unit

PARTS = {
    "covered": "Barranquilla, Soledad, Puerto Colombia y Galapa", "address": "Calle 72 #43-25",
    "place": "Carrera 51B #79-40, apto. 301, El Prado", "pickup": "", "first": "8:00 a.m.", "second": "8:00 p.m.",
    "method": "Nequi", "number": "3F2A91BC", "eta": "8", "phone": "605 330 1234", "state": "asignado a un conductor",
    "summary": "Te recogemos en Calle 72 #43-25, El Prado; pagas en efectivo. Nota para el conductor: Lleva 2 perros.",
}  # fmt: skip


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Calle 72 #43-25", "calle setenta y dos, número cuarenta y tres, veinticinco"),
        (
            "Te recogemos en Calle 72 #43-25, El Prado.",
            "Te recogemos en calle setenta y dos, número cuarenta y tres, veinticinco, El Prado.",
        ),
        ("Carrera 51B #79-40", "carrera cincuenta y uno be, número setenta y nueve, cuarenta"),
        ("Kr 51B # 79 - 40", "carrera cincuenta y uno be, número setenta y nueve, cuarenta"),
        ("Cra. 46 No. 70-12", "carrera cuarenta y seis, número setenta, doce"),
        ("Cra 46 N° 70-12", "carrera cuarenta y seis, número setenta, doce"),
        ("Dg. 23 #14-05", "diagonal veintitrés, número catorce, cero cinco"),
        ("Tv 3A #5B-100", "transversal tres a, número cinco be, cien"),
        ("Av. Murillo con Cra. 8", "avenida Murillo con carrera ocho"),
        ("Calle 72 con Carrera 43", "calle setenta y dos con carrera cuarenta y tres"),
        ("Calle 30 43 25", "calle treinta, número cuarenta y tres, veinticinco"),
        ("$12.500", "doce mil quinientos pesos"),
        ("El valor es $ 12.500 pesos.", "El valor es doce mil quinientos pesos."),
        ("$21.000", "veintiún mil pesos"),
        ("$1.000.000", "un millón de pesos"),
        ("$2.350.000", "dos millones trescientos cincuenta mil pesos"),
        ("COP $8.000", "ocho mil pesos"),
        ("$12 mil", "doce mil pesos"),
        ("12.500 pesos", "doce mil quinientos pesos"),
        ("US$ 20", "veinte dólares"),
        ("placa TPX-123", "placa te pe equis, uno dos tres"),
        ("ABC123", "a be ce, uno dos tres"),
        ("placa tpx123", "placa te pe equis, uno dos tres"),
        ("ABC12D", "a be ce, uno dos de"),
        ("3:30 p.m.", "tres y media de la tarde."),
        ("a las 3 p. m. en punto", "a las tres de la tarde en punto"),
        ("a las 12:00 p.m.", "a las doce del día."),
        ("a la 1:00 pm", "a la una de la tarde"),
        ("15:45", "tres y cuarenta y cinco de la tarde"),
        ("a las 8:05 a.m. mañana", "a las ocho y cinco de la mañana mañana"),
        ("8 min", "ocho minutos"),
        ("1 minuto", "un minuto"),
        ("21 minutos", "veintiún minutos"),
        ("llega en unos 8 minutos", "llega en unos ocho minutos"),
        ("5-10 minutos", "cinco a diez minutos"),
        ("1 hora", "una hora"),
        ("2 horas", "dos horas"),
        ("21 horas", "veintiuna horas"),
        ("2,5 km", "dos coma cinco kilómetros"),
        ("300 m", "trescientos metros"),
        ("60 km/h", "sesenta kilómetros por hora"),
        ("300 123 4567", "tres cero cero, ciento veintitrés, cuarenta y cinco, sesenta y siete"),
        ("3001234567", "tres cero cero, ciento veintitrés, cuarenta y cinco, sesenta y siete"),
        (
            "+57 300 123 4567",
            "más cincuenta y siete, tres cero cero, ciento veintitrés, cuarenta y cinco, sesenta y siete",
        ),
        ("605 385 1234", "seiscientos cinco, trescientos ochenta y cinco, doce, treinta y cuatro"),
        ("385 1234", "trescientos ochenta y cinco, doce, treinta y cuatro"),
        (
            "Puedes hablar con una persona en el 605 3301234.",
            "Puedes hablar con una persona en el seiscientos cinco, trescientos treinta, doce, treinta y cuatro.",
        ),
        ("Si es una emergencia, llama ya a la línea 123.", "Si es una emergencia, llama ya a la línea uno dos tres."),
        ("Tu número de servicio es 3F2A91BC.", "Tu número de servicio es tres efe dos a."),
        ("Tu número de servicio es 12345678.", "Tu número de servicio es uno dos tres cuatro."),
        ("el servicio 0b1f6f2e-9d0c-4b0e-8d0c-3b1a5d7f2c46 va", "el servicio cero be uno efe va"),
        ("50%", "cincuenta por ciento"),
        ("12,5 %", "doce coma cinco por ciento"),
        ("1º de enero", "primero de enero"),
        ("1 de enero de 2025", "primero de enero de dos mil veinticinco"),
        ("el 25/12/2026", "el veinticinco de diciembre de dos mil veintiséis"),
        ("el 1er piso", "el primer piso"),
        ("2ª vez", "segunda vez"),
        ("Torre 3 apto. 502", "torre tres apartamento quinientos dos"),
        ("Apto 502B", "apartamento quinientos dos be"),
        ("¡Listo! 🚕 Tu taxi **va** en camino", "¡Listo! Tu taxi va en camino"),
        ("- uno", "uno"),
        ("El Dr. Pérez y la Sra. Gómez", "El doctor Pérez y la señora Gómez"),
        ("Manzana 4 lote 12", "manzana cuatro lote doce"),
        ("km 5 vía al mar", "kilómetro cinco vía al mar"),
        ("Son 2 personas y 21 maletas", "Son dos personas y veintiuna maletas"),
        ("Son 1 persona y 1 perro", "Son una persona y un perro"),
        ("200 personas", "doscientas personas"),
        ("24/7", "veinticuatro siete"),
        ("28 °C", "veintiocho grados"),
        ("Bus B12", "Bus be doce"),
        ("Calle 100", "calle cien"),
        ("Calle 84B2 #43-25", "calle ochenta y cuatro be dos, número cuarenta y tres, veinticinco"),
        ("en 2026", "en dos mil veintiséis"),
        ("0", "cero"),
        ("007", "cero cero siete"),
        ("123456789", "ciento veintitrés, cuatrocientos cincuenta y seis, setecientos ochenta y nueve"),
        (
            "Juan Pérez, placa TPX123, a unos 8 minutos",
            "Juan Pérez, placa te pe equis, uno dos tres, a unos ocho minutos",
        ),
        (
            "La carrera mínima es de $8.000 desde el 1 de enero de 2025.",
            "La carrera mínima es de ocho mil pesos desde el primero de enero de dos mil veinticinco.",
        ),
        ("hora: 3:30 p.m.", "hora: tres y media de la tarde."),
        ("Diagonal 68C Sur #12-34", "diagonal sesenta y ocho ce sur, número doce, treinta y cuatro"),
        ("Calle 5 bis #10-20", "calle cinco bis, número diez, veinte"),
        (
            "visita https://voztaxi.co/a?b=1 o escribe a ana@voztaxi.co",
            "visita el enlace o escribe a ana arroba voztaxi punto co",
        ),
        ("Cra. 46 Nº 70-12", "carrera cuarenta y seis, número setenta, doce"),
        ("Cra 46 Número 70-12", "carrera cuarenta y seis, número setenta, doce"),
        ("$8.000 desde el martes", "ocho mil pesos desde el martes"),
        ("Calle 72 a la derecha", "calle setenta y dos a la derecha"),
        ("Calle 43 A #70-12", "calle cuarenta y tres a, número setenta, doce"),
        ("Calle 72 No. 43B-25", "calle setenta y dos, número cuarenta y tres be, veinticinco"),
        (
            "Cl 72 #43-25 apto 301",
            "calle setenta y dos, número cuarenta y tres, veinticinco apartamento trescientos uno",
        ),
        ("en la calle 72 con 43", "en la calle setenta y dos con cuarenta y tres"),
        ("la 72 con 43", "la setenta y dos con cuarenta y tres"),
        ("entre 5 y 10 minutos", "entre cinco y diez minutos"),
        ("5 a 10 minutos", "cinco a diez minutos"),
        ("$ 5 millones", "cinco millones de pesos"),
        ("$1.500,50", "mil quinientos coma cincuenta pesos"),
        ("1.000 pesos", "mil pesos"),
        ("101 pesos", "ciento un pesos"),
        ("0,5 km", "cero coma cinco kilómetros"),
        ("1.500 m", "mil quinientos metros"),
        ("a las 20:00", "a las ocho de la noche"),
        ("a las 00:30", "a las doce y media de la noche"),
        ("a las 7:15 p.m.", "a las siete y cuarto de la noche."),
        ("6:45 am", "seis y cuarenta y cinco de la mañana"),
        ("12:30 p.m.", "doce y media del día."),
        ("12:00 a.m.", "doce de la noche."),
        ("99:99", "noventa y nueve noventa y nueve"),
        ("a la 1:01 p.m.", "a la una y uno de la tarde."),
        ("Aeropuerto, puerta 4", "Aeropuerto, puerta cuatro"),
        ("vuelo AV9314", "vuelo a ve nueve mil trescientos catorce"),
        ("vuelo LA 4102", "vuelo LA cuatro mil ciento dos"),
        ("línea 195", "línea uno nueve cinco"),
        ("llama al 123", "llama al uno dos tres"),
        ("marca 123", "marca uno dos tres"),
        ("3.5 estrellas", "tres coma cinco estrellas"),
        ("100%", "cien por ciento"),
        ("1ra vez", "primera vez"),
        ("3er piso", "tercer piso"),
        ("10º piso", "décimo piso"),
        ("15º piso", "quince piso"),
        ("Nequi 3001234567", "Nequi tres cero cero, ciento veintitrés, cuarenta y cinco, sesenta y siete"),
        ("21 personas", "veintiuna personas"),
        ("31 minutos", "treinta y un minutos"),
        ("41 taxis", "cuarenta y un taxis"),
        ("1 taxi", "un taxi"),
        ("101 casas", "ciento una casas"),
        ("0 minutos", "cero minutos"),
        ("1.000.000 de pesos", "un millón de pesos"),
        ("carro blanco WXY-987, 4 puestos", "carro blanco doble ve equis ye, nueve ocho siete, cuatro puestos"),
        ("# 43-25", "número cuarenta y tres, veinticinco"),
        ("No. 5", "número cinco"),
        ("número 12", "número doce"),
        ("#VozTaxi", "VozTaxi"),
        ("Efectivo & Nequi", "Efectivo y Nequi"),
        ("2 + 2", "dos más dos"),
        ("y/o", "y o"),
        ("10/05/2026", "diez de mayo de dos mil veintiséis"),
        ("5/10", "cinco diez"),
        ("5 y 1/2", "cinco y uno dos"),
        ("Perfecto, efectivo.", "Perfecto, efectivo."),
        ("`código` _suave_ **fuerte**", "código suave fuerte"),
        ("## Resumen", "Resumen"),
        ("1. Efectivo", "uno. Efectivo"),
        ("¿Sí o no?", "¿Sí o no?"),
        ("Tel. 3851234", "teléfono trescientos ochenta y cinco, doce, treinta y cuatro"),
        ("Torre 2, int. 5, of. 301", "torre dos, interior cinco, oficina trescientos uno"),
        ("Ed. El Prado piso 3", "edificio El Prado piso tres"),
        ("Mz. 12 Lt. 3 casa 4", "manzana doce lote tres casa cuatro"),
        ("Av. Circunvalar #80-100", "avenida Circunvalar número ochenta, cien"),
        ("Vía 40 #36-135", "Vía cuarenta número treinta y seis, ciento treinta y cinco"),
        ("Calle 17 sur # 8 - 20", "calle diecisiete sur, número ocho, veinte"),
    ],
)
def test_it_is_said_as_people_say_it(written: str, said: str) -> None:
    assert aloud(written) == said


@pytest.mark.parametrize("name", _PHRASES)
def test_all_that_the_clerk_says_can_be_said(name: str) -> None:
    said = aloud(_PHRASES[name][0].format(**PARTS))

    assert said
    assert not any(letter.isdigit() or letter in "#$*_" for letter in said)


def test_the_number_of_a_booking_is_told_by_its_beginning() -> None:
    text = "¡Listo! Tu taxi va en camino a Calle 72 #43-25. Tu número de servicio es 3F2A91BC. ¡Buen viaje!"

    assert aloud(text) == (
        "¡Listo! Tu taxi va en camino a calle setenta y dos, número cuarenta y tres, veinticinco. "
        "Tu número de servicio es tres efe dos a. ¡Buen viaje!"
    )


pieces = st.sampled_from(
    [
        "Calle ",
        "Cra. ",
        "Kr",
        "#",
        " # ",
        "No. ",
        "43",
        "25",
        "-",
        "51B",
        "$",
        "12.500",
        ",",
        ".",
        " ",
        " p.m.",
        "a.m",
        ":",
        "30",
        "3",
        "%",
        " km",
        " min",
        "TPX",
        "123",
        "ABC12D",
        "🚕",
        "**",
        "_",
        "º",
        "°",
        "ª",
        "²",
        "½",
        "٣",
        "①",
        "placa ",
        "3F2A91BC",
        "300 123 4567",
        "+57 ",
        " de ",
        "enero",
        "/",
        "@",
        "x.co",
        "\n",
        "- ",
        "S",
        "r",
        "Sr",
        "mil",
        "1",
        "0",
        "007",
    ]
)


@given(st.one_of(st.lists(pieces, max_size=14).map("".join), st.text(max_size=60)))
@example("a\u0300 1\ufe0f\u20e3")
def test_no_digit_is_left_and_what_is_said_is_said_the_same_again(text: str) -> None:
    said = aloud(text)

    assert not any(letter.isdigit() for letter in said)
    assert aloud(said) == said
