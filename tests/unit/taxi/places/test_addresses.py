"""What riders of Barranquilla type and say, and what it means."""

import pytest

from app.taxi.places import Address, Gazetteer, Via, parse_address, parse_addresses, write_address

pytestmark = pytest.mark.unit

GAZETTEER = Gazetteer.load()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Hola, necesito un taxi a la Calle 72 #43-25 en El Prado", "Calle 72 #43-25"),
        ("CR 57 70 98", "Carrera 57 #70-98"),
        ("cra 51B # 79 - 40 apto 302 torre 2", "Carrera 51B #79-40"),
        ("Cl.72 No. 43-25", "Calle 72 #43-25"),
        ("Calle 72 N.º 43–25", "Calle 72 #43-25"),
        ("cll72#43-25", "Calle 72 #43-25"),
        ("calel 72 # 43-25", "Calle 72 #43-25"),
        ("K 51B 79 40", "Carrera 51B #79-40"),
        ("calle 72-43-25", "Calle 72 #43-25"),
        ("calle 72 numero 43a25", "Calle 72 #43A-25"),
        ("CALLE 84 # 42 B 1 - 30", "Calle 84 #42B1-30"),
        ("CR 26C 7 76A 45", "Carrera 26C7 #76A-45"),
        ("Calle 45 # 5 Sur - 57", "Calle 45 #5 Sur-57"),
        ("carrera 15SUR N°78-123", "Carrera 15 Sur #78-123"),
        ("calle 72A bis B # 43C - 25", "Calle 72A Bis B #43C-25"),
        ("via 40 # 85-1450", "Vía 40 #85-1450"),
        ("av calle 72 # 43-25", "Avenida Calle 72 #43-25"),
        ("diagonal 54 # 10-25", "Diagonal 54 #10-25"),
        ("transv 44 # 102-80", "Transversal 44 #102-80"),
        ("CR 10 FRENTE AL 84 08", "Carrera 10 #84-08"),
        ("CALLE 76-175 CARRERA 51", "Calle 76 #51-175"),
        ("vía al mar km 5", "Vía al Mar Km 5"),
        ("KM 7 VIA JUAN MINA", "Vía Juan Mina Km 7"),
        ("calle 72 #43-25 a las 7 pm", "Calle 72 #43-25"),
        ("calle 72 43 25 300 123 4567", "Calle 72 #43-25"),
        ("calle 80 # 50-20, somos 3 con 2 maletas", "Calle 80 #50-20"),
        ("carrera séptima # 19-20", "Carrera 7 #19-20"),
    ],
)
def test_a_written_address_takes_its_canonical_form(text: str, address: str) -> None:
    reading = parse_address(text, GAZETTEER)
    assert (reading.status, reading.address) == ("address", address)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("calle setenta y dos número cuarenta y tres veinticinco", "Calle 72 #43-25"),
        ("calle setenta y dos numeral cuarenta y tres guion veinticinco", "Calle 72 #43-25"),
        ("calle setenta dos número cuarenta tres veinticinco", "Calle 72 #43-25"),
        ("calle siete dos número cuarenta y tres dos cinco", "Calle 72 #43-25"),
        ("calle noventa número cuarenta y dos b uno sesenta y uno", "Calle 90 #42B1-61"),
        ("carrera ventiseis c cinco número setenta y seis ventisiete", "Carrera 26C5 #76-27"),
        ("calle noventa y tres número cuarenta y seis c ciento veinte", "Calle 93 #46C-120"),
        ("carrera doce a número setenta y siete b uno sesenta y siete", "Carrera 12A #77B1-67"),
        ("calle cientodós número cuarenta y nueve e ochenta y nueve", "Calle 102 #49E-89"),
        ("carrera cincuenta y uno be número ochenta y dos guión dos cincuenta y cuatro", "Carrera 51B #82-254"),
        ("calle sesenta y ocho número cincuenta y tres cero ocho", "Calle 68 #53-08"),
        ("vía cuarenta número setenta y siete veinte", "Vía 40 #77-20"),
        ("carrera 9 h numero 45 c doce", "Carrera 9H #45C-12"),
        ("calle cien cincuenta y tres veinte", "Calle 100 #53-20"),
        ("calle treinta ocho veinte", "Calle 30 #8-20"),
    ],
)
def test_a_spoken_address_takes_the_same_form(text: str, address: str) -> None:
    reading = parse_address(text, GAZETTEER)
    assert (reading.status, reading.address) == ("address", address)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("CL 74 CR 38C", "Calle 74 con Carrera 38C"),
        ("calle 72 con la 43", "Calle 72 con Carrera 43"),
        ("cra 43 calle 72 esquina", "Carrera 43 con Calle 72"),
        ("calle 72 x carrera 43", "Calle 72 con Carrera 43"),
        ("carrera 12 a calle 77", "Carrera 12A con Calle 77"),
        ("calle 72 entre carreras 43 y 44", "Calle 72 entre Carrera 43 y Carrera 44"),
        ("AV CIRCUNVALAR CR 38 Y 46", "Avenida Circunvalar entre Carrera 38 y Carrera 46"),
        ("murillo con la 20", "Avenida Murillo con Carrera 20"),
        ("cordialidad con circunvalar", "Avenida Cordialidad con Avenida Circunvalar"),
        ("carrera 46 olaya herrera con calle 72", "Carrera 46 con Calle 72"),
        ("Vía 40 con 51", "Vía 40 con 51"),
        ("calle ochenta y cuatro con cincuenta y uno b", "Calle 84 con Carrera 51B"),
        ("calle 84 con carrera 42 b 1", "Calle 84 con Carrera 42B1"),
        ("from calle 80 with carrera 50 to the hotel", "Calle 80 con Carrera 50"),
    ],
)
def test_a_corner_or_block_takes_its_canonical_form(text: str, address: str) -> None:
    reading = parse_address(text, GAZETTEER)
    assert (reading.status, reading.address) == ("corner", address)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("la 72 con 43", "Calle 72 con Carrera 43"),
        ("estoy en la 84 con la 51b", "Calle 84 con Carrera 51B"),
        ("en la 76 con la 42f", "Calle 76 con Carrera 42F"),
        ("la 43 con murillo", "Carrera 43 con Avenida Murillo"),
    ],
)
def test_a_corner_without_street_words_is_read_where_the_grid_leaves_one_meaning(text: str, address: str) -> None:
    assert parse_address(text, GAZETTEER).address == address


def test_a_corner_without_street_words_is_asked_where_both_exist() -> None:
    reading = parse_address("estoy por la 38 con 45", GAZETTEER)
    assert reading.status == "ambiguous"
    assert reading.choices == ("Calle 38 con Carrera 45", "Carrera 38 con Calle 45")
    assert reading.ask is not None
    assert "Calle 38 con Carrera 45" in reading.ask


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("calle 80, no perdón, calle 81 #20-15", "Calle 81 #20-15"),
        ("calle 72 #43-25, perdón, 43-35", "Calle 72 #43-35"),
        ("calle 72 #43-25, digo 35", "Calle 72 #43-35"),
        ("calle 72 no es 43-25 sino 43-35", "Calle 72 #43-35"),
        ("calle 80 con 43, digo 44", "Calle 80 con Carrera 44"),
        ("carrera 43 con 82, perdón, con 84", "Carrera 43 con Calle 84"),
        ("carrera 43 con calle 82, no, mentira, calle 84", "Carrera 43 con Calle 84"),
        ("calle 84, no, calle 85 con carrera 50", "Calle 85 con Carrera 50"),
        ("calle 80 # 10-20, perdón, 81 # 20-15", "Calle 81 #20-15"),
        ("calle 72 #43-25, perdón la demora", "Calle 72 #43-25"),
        ("perdón, calle 72 #43-25", "Calle 72 #43-25"),
    ],
)
def test_what_a_rider_takes_back_is_replaced(text: str, address: str) -> None:
    assert parse_address(text, GAZETTEER).address == address


@pytest.mark.parametrize(
    ("text", "missing", "choices"),
    [
        ("calle 72", ("cross_street",), ()),
        ("calle 72 a las 7", ("cross_street",), ()),
        ("calle 72 2 maletas", ("cross_street",), ()),
        ("calle 72 número 43", ("plate",), ("Calle 72 con Carrera 43",)),
        ("calle 72 número 4325", ("cross_street",), ("Calle 72 #43-25", "Calle 72 #4-325")),
        ("calle treinta ocho", ("cross_street",), ("Calle 38", "Calle 30 con Carrera 8")),
        ("calle 72 con calle 45", ("cross_street",), ("Calle 72", "Calle 45")),
        ("45 # 38-20", ("street",), ("Calle 45 #38-20", "Carrera 45 #38-20")),
        ("calle 72 número cuatro tres veinticinco", ("cross_street", "plate"), ("Calle 72 #4-325", "Calle 72 #43-25")),
        ("Calle 72 #43-25 o Calle 74 #43-25", ("street",), ("Calle 72 #43-25", "Calle 74 #43-25")),
        ("calle noventa número cuarenta y dos b cinco", ("plate",), ("Calle 90 #42B-5", "Calle 90 con Carrera 42B5")),
        ("km 5", ("street",), ()),
        ("manzana 4 lote 12", ("neighborhood",), ()),
    ],
)
def test_what_is_missing_or_ambiguous_is_asked(text: str, missing: tuple[str, ...], choices: tuple[str, ...]) -> None:
    reading = parse_address(text, GAZETTEER)
    assert (reading.status, reading.address) == ("ambiguous", None)
    assert (reading.missing, reading.choices) == (missing, choices)
    assert reading.ask is not None
    assert reading.ask.startswith("¿")


@pytest.mark.parametrize(
    "text",
    [
        "", "Hola", "Necesito un taxi", "en efectivo", "somos 4 personas con 2 maletas", "a las 7", "a las 4:30 pm",
        "mi número es 300 123 4567", "3012345678", "cédula 72123456", "mi cc es 1.045.678.901", "2", "72 43 25",
        "entre 7 y 8", "para mañana 20 de julio a las 5 y 30", "la carrera 20 mil", "te doy 20 mil por la carrera",
        "esa carrera cuesta 20", "necesito una carrera para las 7", "llevo 2 perros y 3 niños", "no", "sí",
        "SELECT * FROM users; DROP TABLE", "<b>carrera</b>", "quedo en la esquina", "quiero ir a Cartagena",
    ],
)  # fmt: skip
def test_what_is_no_address_stays_none(text: str) -> None:
    reading = parse_address(text, GAZETTEER)
    assert (reading.status, reading.address, reading.parsed) == ("not_an_address", None, None)


def test_neighborhood_zone_and_city_come_along() -> None:
    reading = parse_address("Hola, necesito un taxi a la Calle 72 #43-25 en El Prado", GAZETTEER)
    assert (reading.neighborhood, reading.zone, reading.city) == (
        "El Prado",
        "Norte-Centro Histórico",
        "Barranquilla",
    )
    text = "Hola, necesito un taxi a la Calle 72 #43-25 en El Prado"
    assert [text[start:end] for start, end in reading.spans] == ["Calle 72 #43-25", "El Prado"]


def test_a_neighborhood_alone_is_no_address_but_is_named() -> None:
    reading = parse_address("El Prado", GAZETTEER)
    assert (reading.status, reading.neighborhood, reading.city) == ("not_an_address", "El Prado", "Barranquilla")


def test_a_neighborhood_of_two_municipalities_is_asked_and_the_city_settles_it() -> None:
    asked = parse_address("carrera 21 # 45-30, Miramar", GAZETTEER)
    assert (asked.status, asked.neighborhood, asked.missing) == ("address", None, ("city",))
    assert asked.choices == ("Barranquilla", "Puerto Colombia")
    settled = parse_address("carrera 21 # 45-30, Miramar, Puerto Colombia", GAZETTEER)
    assert (settled.neighborhood, settled.city, settled.ask) == ("Miramar", "Puerto Colombia", None)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("cra 51B # 79-40 apto 302 torre 2", "Apto 302, Torre 2"),
        ("Carrera 51B No 82-254 Torre Norte apto 1201, edificio Mirador", "Torre Norte, Apto 1201, Edificio Mirador"),
        ("calle 72 #43-25 conjunto residencial Los Almendros torre b", "Conjunto Los Almendros, Torre B"),
        ("carrera 46 número 85-60 apartamento 5 b, pago con nequi", "Apto 5B"),
        ("calle 72 #43-25 apartamento trescientos dos torre dos", "Apto 302, Torre 2"),
        ("carrera 58 # 75-34 diagonal a la iglesia", "Diagonal a la iglesia"),
        ("calle 72 #43-25 casa de rejas", None),
        ("calle 72 #43-25 piso 2 personas", None),
    ],
)
def test_complements_are_kept_as_detail(text: str, detail: str | None) -> None:
    assert parse_address(text, GAZETTEER).detail == detail


def test_a_block_and_house_of_a_neighborhood_is_an_address() -> None:
    reading = parse_address("mz C casa 5 villas de san pablo", GAZETTEER)
    assert (reading.status, reading.address, reading.neighborhood) == (
        "address",
        "Manzana C Casa 5",
        "Villas de San Pablo",
    )


@pytest.mark.parametrize(
    ("text", "place", "city"),
    [
        ("al aeropuerto", "Aeropuerto Ernesto Cortissoz", "Soledad"),
        ("estoy en la terminal", "Terminal de Transportes de Barranquilla", "Soledad"),
        ("me recoges en Buenavista", "Centro Comercial Buenavista", "Barranquilla"),
        ("en el metropolitano", "Estadio Metropolitano", "Barranquilla"),
        ("Estoy en la uninorte", "Universidad del Norte", "Puerto Colombia"),
        ("AV CIRCUNVALAR FRENTE A METRO PARQUE", "Metroparque", "Barranquilla"),
    ],
)
def test_a_place_of_interest_is_a_place(text: str, place: str, city: str) -> None:
    reading = parse_address(text, GAZETTEER)
    assert (reading.status, reading.address, reading.city) == ("place", place, city)


def test_a_street_without_number_is_not_located_by_the_destination() -> None:
    reading = parse_address("estoy en la calle 72 y voy al aeropuerto", GAZETTEER)
    assert (reading.status, reading.missing) == ("ambiguous", ("cross_street",))


def test_two_addresses_of_one_sentence_are_both_found() -> None:
    readings = parse_addresses("de la calle 72 #43-25 a la carrera 51B #79-40 apto 3", GAZETTEER)
    assert [reading.address for reading in readings] == ["Calle 72 #43-25", "Carrera 51B #79-40"]
    assert [reading.detail for reading in readings] == [None, "Apto 3"]


def test_the_structured_form_tells_every_part() -> None:
    reading = parse_address("cl 84 # 42 b 1 - 05", GAZETTEER)
    assert reading.parsed == Address(Via("Calle", "84"), Via("Carrera", "42", "B1"), "05")
    assert write_address(reading.parsed) == "Calle 84 #42B1-05"


@pytest.mark.parametrize(
    ("heard", "address"),
    [
        ("calle 70 y dos número 40 y 325", "Calle 72 #43-25"),
        ("en la calle 70 y 2, 40 y 3, 25", "Calle 72 #43-25"),
        ("carrera 50 y 1 B número 70 y 9 40", "Carrera 51B #79-40"),
        ("calle 84 número 50 y 2 16", "Calle 84 #52-16"),
        ("Carrera 40 y 3-B número 84-55", "Carrera 43B #84-55"),
        ("Carrera 40 y 3-B número, 80 y 455.", "Carrera 43B #84-55"),
        ("Carrera 51-B número 79-40", "Carrera 51B #79-40"),
        ("carrera 40 y cuatro número 70 y 2 20 y 8", "Carrera 44 #72-28"),
    ],
)
def test_a_recogniser_that_writes_tens_and_units_apart_is_understood(heard: str, address: str) -> None:
    assert parse_address(heard, Gazetteer.load()).address == address


def test_two_streets_joined_by_an_and_stay_two() -> None:
    assert parse_address("calle 70 y 20", Gazetteer.load()).address == "Calle 70 con Carrera 20"
