"""Places named in what riders say."""

import pytest

from app.taxi.places import Gazetteer

pytestmark = pytest.mark.unit

GAZETTEER = Gazetteer.load()


def named(text: str, city: str | None = None) -> list[tuple[str, str]]:
    return [(m.neighborhood.name, m.neighborhood.city) for m in GAZETTEER.neighborhoods(text, city=city)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("El Prado", "El Prado"),
        ("barrio prado", "El Prado"),
        ("estoy en el prado", "El Prado"),
        ("VILLA SANTOS", "Villa Santos"),
        ("estoy en vila carolna", "Villa Carolina"),
        ("barrio siemon bolibar", "Simón Bolívar"),
        ("barrio revolo", "Rebolo"),
        ("barrio abajo", "Abajo"),
        ("ciudad jardin", "Ciudad Jardín"),
        ("urb. los robles", "Los Robles"),
        ("los angeles dos", "Los Ángeles"),
        ("villa san pedro II", "Villa San Pedro"),
        ("siete de abril", "Siete de Abril"),
        ("barrio 7 de abril", "Siete de Abril"),
        ("soledad 2000", "Soledad 2000"),
        ("sta mónica", "Santa Mónica"),
    ],
)
def test_a_neighborhood_is_found_however_it_is_spelt(text: str, name: str) -> None:
    assert [found for found, _ in named(text)] == [name]


@pytest.mark.parametrize(
    "text",
    [
        "me llamo Carmen Prado", "soy Rosario", "Barranquilla, Colombia", "estoy abajo", "avenida Simón Bolívar",
        "edificio Miramar", "clínica La Victoria", "se fue la luz", "en el parque", "centro comercial", "voy ya",
        "por favor", "santa marta", "dentro de la plaza", "paz y amor", "necesito una carrera",
        "dame la placa", "no tengo la plata", "en la plaza",
    ],
)  # fmt: skip
def test_ordinary_words_and_names_of_persons_are_no_neighborhood(text: str) -> None:
    assert named(text) == []


def test_equal_names_of_several_municipalities_are_all_returned() -> None:
    assert named("Miramar") == [("Miramar", "Barranquilla"), ("Miramar", "Puerto Colombia")]
    assert named("20 de julio") == [("Veinte de Julio", "Barranquilla"), ("Veinte de Julio", "Soledad")]
    assert named("Miramar", city="Puerto Colombia") == [("Miramar", "Puerto Colombia")]


def test_the_city_finds_the_name_that_differs_by_its_article() -> None:
    assert named("El Prado", city="Soledad") == [("Prado", "Soledad")]


def test_a_match_tells_where_it_stands_and_how_sure_it_is() -> None:
    text = "¡Hola! Estoy en el barrio Simón Bolívar, gracias"
    match = GAZETTEER.neighborhoods(text)[0]
    assert text[match.start : match.end] == "Simón Bolívar"
    assert match.score == 100
    assert GAZETTEER.neighborhoods("barrio siemon bolibar")[0].score < 100


def test_santa_maria_is_a_neighborhood_and_never_santa_marta() -> None:
    assert named("estoy en Santa María") == [("Santa María", "Barranquilla")]
    assert GAZETTEER.elsewhere("estoy en Santa María") is None
    assert GAZETTEER.elsewhere("quiero ir a Santa Marta") == "Santa Marta"
    assert named("quiero ir a Santa Marta") == []


@pytest.mark.parametrize(
    ("text", "city"),
    [
        ("estoy en Barranquilla", "Barranquilla"),
        ("aquí en curramba", "Barranquilla"),
        ("la arenosa", "Barranquilla"),
        ("b/quilla", "Barranquilla"),
        ("voy para Soledad", "Soledad"),
        ("puerto colombia", "Puerto Colombia"),
        ("en galapa", "Galapa"),
        ("malambo", "Malambo"),
        ("soy Soledad", None),
        ("a nombre de Soledad Pérez", None),
        ("vía Galapa km 3", None),
        ("necesito un taxi", None),
    ],
)
def test_the_municipality_is_recognised(text: str, city: str | None) -> None:
    assert GAZETTEER.city(text) == city


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("quiero ir a Cartagena", "Cartagena"),
        ("un taxi en Bogotá", "Bogotá"),
        ("medellin", "Medellín"),
        ("estoy en Sabanalarga", "Sabanalarga"),
        ("voy para baranoa", "Baranoa"),
        ("un taxi a Cali", "Cali"),
        ("soy de Medellín", None),
        ("cuarenta y dos b de Bogotá", None),
        ("edificio Cartagena", None),
        ("mi nombre es Florencia", None),
        ("estoy en el Prado", None),
    ],
)
def test_a_place_outside_the_metropolitan_area_is_recognised(text: str, place: str | None) -> None:
    assert GAZETTEER.elsewhere(text) == place


def test_a_place_of_interest_tells_its_municipality_and_span() -> None:
    text = "llévame al aeropuerto Ernesto Cortissoz"
    match = GAZETTEER.places_of_interest(text)[0]
    assert (match.place.name, match.place.city) == ("Aeropuerto Ernesto Cortissoz", "Soledad")
    assert text[match.start : match.end] == "aeropuerto Ernesto Cortissoz"


def test_the_five_localidades_and_five_municipalities_are_there() -> None:
    zones = {barrio.zone for barrio in GAZETTEER.all_neighborhoods if barrio.city == "Barranquilla"}
    assert zones == {"Norte-Centro Histórico", "Riomar", "Metropolitana", "Suroccidente", "Suroriente"}
    assert GAZETTEER.cities == ("Barranquilla", "Soledad", "Puerto Colombia", "Galapa", "Malambo")


@pytest.mark.parametrize("barrio", GAZETTEER.all_neighborhoods, ids=lambda barrio: f"{barrio.name}-{barrio.city}")
def test_every_neighborhood_is_found_by_its_own_name(barrio) -> None:  # type: ignore[no-untyped-def]
    assert (barrio.name, barrio.city) in named(f"barrio {barrio.name}", city=barrio.city) or barrio.name == "Prado"


def test_loading_twice_gives_the_same_gazetteer() -> None:
    assert Gazetteer.load() is GAZETTEER
