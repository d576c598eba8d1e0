"""Which language riders write."""

import pytest

from app.taxi.reading import language

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I need a taxi please", "en"),
        ("can you pick me up at calle 72", "en"),
        ("how much to the airport?", "en"),
        ("yes please", "en"),
        ("good morning, I want a cab", "en"),
        ("where is my driver", "en"),
        ("I will pay with cash", "en"),
        ("necesito un taxi", "es"),
        ("hello, necesito un taxi en la calle 72", "es"),
        ("ok", "es"),
        ("yes", "es"),
        ("cash", "es"),
        ("taxi", "es"),
        ("no", "es"),
        ("calle 72 43 25", "es"),
        ("pago en cash por favor", "es"),
        ("", "es"),
        ("me recoges en el home center", "es"),
        ("thank you", "en"),
    ],
)
def test_the_language_of_a_rider_is_told_and_spanish_in_doubt(text: str, expected: str) -> None:
    assert language(text) == expected
