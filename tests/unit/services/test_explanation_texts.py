"""What people are told about their explanation."""

import pytest

from app.services.explanation_texts import language_of, paused_text, waiting_text

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("context", "language"),
    [
        ({}, "es"),
        ({"language": "en"}, "en"),
        ({"language": "en-US"}, "en"),
        ({"language": "fr"}, "es"),
        ({"language": 7}, "es"),
    ],
)
def test_it_is_spanish_unless_english_is_asked_for(context: dict[str, object], language: str) -> None:
    assert language_of(context) == language


def test_whoever_waits_is_told_how_many_are_before_them() -> None:
    assert [waiting_text(place, "es") for place in range(5)] == [
        "Estoy preparando la explicación…",
        "Tu pregunta es la siguiente…",
        "Hay una pregunta antes de la tuya…",
        "Hay 2 preguntas antes de la tuya…",
        "Hay 3 preguntas antes de la tuya…",
    ]
    assert waiting_text(4, "en") == "There are 3 questions before yours…"


def test_a_pause_is_told_in_the_language_too() -> None:
    assert (paused_text("es"), paused_text("en")) == ("Explicación en pausa.", "Explanation paused.")
