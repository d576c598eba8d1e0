"""What people say where a form would have a field: no for a price, where they go, small talk."""

import pytest

from app.taxi.chatter import is_chatter
from app.taxi.intents import Intent, intents
from app.taxi.slots import read_slots, without_destination

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "text",
    [
        "no, muy caro, gracias",
        "No, muy caro",
        "no gracias está muy caro",
        "uy no, carísimo, así no",
        "ay no dejemos asi que esta muy caro",
        "muy caro, no gracias",
        "está carísimo, mejor no",
        "no, mejor me voy en bus",
        "no, mejor cojo un bus, gracias",
        "no, too expensive, thanks",
        "no me alcanza, dejémoslo así, es mucha plata",
    ],
)
def test_a_no_for_the_price_turns_the_taxi_down(text: str) -> None:
    assert Intent.TURN_DOWN in intents(text)


@pytest.mark.parametrize(
    "text",
    [
        "está caro pero bueno, en efectivo",
        "no está caro",
        "no, no es muy caro",
        "qué caro",
        "no, en efectivo",
        "no",
        "no, gracias",
        "déjalo así",
        "no llevo mascota",
        "caro pero mándalo",
        "not too expensive",
        "voy en bus a la terminal y de ahí necesito el taxi",
    ],
)
def test_grumbling_and_other_words_turn_nothing_down(text: str) -> None:
    assert Intent.TURN_DOWN not in intents(text)


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


@pytest.mark.parametrize(
    "text",
    [
        "mmm bueno pues ahí vamos viendo",
        "eche con este calor que esta haciendo hoy",
        "a ver qué más, este, no sé qué será",
        "jajaja",
        "ehhh",
        "uy qué calor hace",
        "pues no sé, digo yo",
        "well let me see",
    ],
)
def test_small_talk_is_chatter(text: str) -> None:
    assert is_chatter(text)


@pytest.mark.parametrize(
    "text",
    [
        "dígale que entre por la portería de atrás",
        "la casa es la de rejas verdes",
        "música suave",
        "que sea rápido",
        "es en el 4",
        "que no fume",
        "rampa",
        "con calma",
        "",
        "que no corra",
    ],
)
def test_a_single_word_of_another_kind_may_be_a_wish(text: str) -> None:
    assert not is_chatter(text)
