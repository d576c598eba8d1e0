"""Talk that tells a driver nothing."""

import pytest

from app.taxi.reading import is_chatter

pytestmark = pytest.mark.unit


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
