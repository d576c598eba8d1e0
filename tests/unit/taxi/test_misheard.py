"""What recognisers made of riders who booked by voice, as small cases."""

from datetime import UTC, datetime

import pytest

from app.taxi.places import Gazetteer, parse_address
from app.taxi.reading import next_time, read_slots

pytestmark = pytest.mark.unit

GAZETTEER = Gazetteer.load()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Calle trenta número, ocho cinquenta y tres.", "Calle 30 #8-53"),
        ("Diagonal se senta y dos número veintiuno cuarenta y cuatro.", "Diagonal 62 #21-44"),
        ("Calle se tenta y nueve número cincuenta y cinco veintiuno.", "Calle 79 #55-21"),
        ("Carrera cincuenta y uno ve número setenta y nueve cuarenta.", "Carrera 51B #79-40"),
        ("Calle noventa, número cuarenta y dos ve uno sesenta y uno.", "Calle 90 #42B1-61"),
        ("Transversal, cuarenta y cuatro número ciento dos noventa.", "Transversal 44 #102-90"),
        ("Caille ochenta y cuatro número cuarenta y seis cinquenta y cinco.", "Calle 84 #46-55"),
        ("Caye noventa y cuatro número cincuenta y tres dieciocho", "Calle 94 #53-18"),
        ("Carrera cincuenta número ochenta cientos cuarenta y nueve.", "Carrera 50 #80-149"),
        ("Carrera cuarenta y tres número ochenta y doscientos sesenta y siete", "Carrera 43 #82-167"),
        ("Calle noventa y cuatro número cincuenta y treinta y tres.", "Calle 94 #50-33"),
        ("Calle noventa y cuatro número cincuenta y cincuenta y dos.", "Calle 94 entre Carrera 50 y Carrera 52"),
        ("Carrera veinticéis se cinco número, setenta y seis veinticiete.", "Carrera 26C5 #76-27"),
        ("Un taxi calle setenta y cuatro carrera treinta y ocho se.", "Calle 74 con Carrera 38C"),
        ("Carrera cuarenta y seis, número ochenta y cuatrocientos veinte", "Carrera 46 #84-120"),
        ("Calle noventa y tres número cuarenta y seis seciento veinte.", "Calle 93 #46C-120"),
        ("Calle noventa y tres número cuarenta y seis se ciento veinte.", "Calle 93 #46C-120"),
        ("No la dirección, escalles setenta y seis, número cincuenta y cuatro onze.", "Calle 76 #54-11"),
        ("Carrera cincuenta y ocho número sesenta y cuatrocientos dos", "Carrera 58 #64-102"),
        ("Calle cincuenta y tres de número veintidós cuarenta. Llámame al llegar.", "Calle 53D #22-40"),
        ("Calle ochenta, número cuarenta y doce dieciocho", "Calle 80 #42C-18"),
        ("carrera cincuenta y uno be número chenta y cuatrociento diez", "Carrera 51B #84-110"),
        ("Calle noventa número cuarenta y seis se cinquenta", "Calle 90 #46C-50"),
        ("carrera novena número veinte treinta y uno", "Carrera 9 #20-31"),
    ],
)
def test_an_address_with_the_slips_of_a_recogniser(text: str, address: str) -> None:
    assert parse_address(text, GAZETTEER).address == address


@pytest.mark.parametrize("text", ["la cuarentena fue larga", "una novena de aguinaldos", "se sentó en la terraza"])
def test_a_word_that_is_only_like_a_number_is_none(text: str) -> None:
    assert parse_address(text, GAZETTEER).address is None


@pytest.mark.parametrize(
    ("understood", "meant"),
    [
        ("Mira Mars.", "Miramar"),
        ("Villa Vista,", "Bellavista"),
        ("bella vista", "Bellavista"),
        ("Olaja,", "Olaya"),
        ("Trevolos", "Rebolo"),
        ("Chicken Kirao.", "Chiquinquirá"),
        ("Sí, Mom Bolívar", "Simón Bolívar"),
    ],
)
def test_a_neighborhood_is_known_by_its_sound(understood: str, meant: str) -> None:
    found = GAZETTEER.sounding_like(understood)
    assert found is not None
    assert found[0] == meant
    assert GAZETTEER.sounding_like(understood, city="Galapa") is None


@pytest.mark.parametrize("text", ["", "no", "no sé", "Yo creo", "ahí al lado de la tienda", "¿cuál?", "efectivo"])
def test_what_sounds_like_no_neighborhood_is_none(text: str) -> None:
    assert GAZETTEER.sounding_like(text) is None


@pytest.mark.parametrize(
    ("text", "method", "removed"),
    [
        ("Mejor con Nequi, no tengo efectivo.", "nequi", ("efectivo",)),
        ("mejor con nequi no tengo efectivo", "nequi", ("efectivo",)),
        ("Nequi no tengo, efectivo", "efectivo", ("nequi",)),
        ("efectivo, no Nequi", "efectivo", ("nequi",)),
        ("Nequi no, efectivo", "efectivo", ("nequi",)),
        ("Con Neckie.", "nequi", ()),
        ("Pago con Necky,", "nequi", ()),
        ("Contarjeta", "tarjeta", ()),
        ("barrio olaya inefectivo", "efectivo", ()),
    ],
)
def test_the_means_that_is_meant(text: str, method: str, removed: tuple[str, ...]) -> None:
    slots = read_slots(text)
    assert (slots.payment_method, slots.removed) == (method, removed)


@pytest.mark.parametrize("text", ["un taxi para mañana a la 7", "un taxi para mañana a la siete"])
def test_an_hour_whose_article_was_cut(text: str) -> None:
    assert read_slots(text).when == "mañana a las 7:00"


@pytest.mark.parametrize("text", ["En la manjana.", "de la manjana"])
def test_an_enye_that_was_not_heard(text: str) -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert next_time("mañana a las 7:00", read_slots(text).when, text, now) == "mañana 07:00"


def test_a_street_is_no_hour() -> None:
    assert read_slots("voy a la 7 con 45").when is None
