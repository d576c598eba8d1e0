"""What a sentence changes in a booking that is being put together."""

from datetime import datetime

import pytest

from app.taxi.draft import Draft
from app.taxi.listening import note
from app.taxi.places import Gazetteer

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("pays", "heard", "then"),
    [
        ("efectivo", "No pago con Nequi.", "nequi"),
        ("efectivo", "No, pago con Nequi.", "nequi"),
        ("nequi", "no pago con nequi", "nequi"),
        ("efectivo", "no tengo nequi", "efectivo"),
        (None, "No pago con Nequi.", None),
    ],
)
def test_who_pays_otherwise_and_says_no_without_a_comma_is_understood(
    pays: str | None, heard: str, then: str | None
) -> None:
    draft = Draft.model_validate({"payment_method": pays})
    assert note(draft, heard, Gazetteer.load(), datetime(2026, 11, 21, 12)).payment_method == then
