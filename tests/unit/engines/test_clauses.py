"""How a sentence is cut for synthesis."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines.tts.clauses import pieces

pytestmark = pytest.mark.unit


def test_the_first_clause_is_a_piece_of_its_own() -> None:
    assert pieces("Listo, Carlos, va en camino, y llega en siete minutos.") == [
        "Listo, Carlos,",
        "va en camino, y llega en siete minutos.",
    ]


def test_a_long_first_clause_is_cut_before_a_connective() -> None:
    first, *_ = pieces("El conductor Carlos va en camino y llega en unos siete minutos a la carrera cuarenta y tres.")

    assert first == "El conductor Carlos va en camino"


@given(st.text(max_size=600))
def test_no_letter_is_lost_and_no_piece_is_empty_or_too_long(text: str) -> None:
    cut = pieces(text)

    assert all(any(map(str.isalnum, piece)) and len(piece) <= 90 for piece in cut)
    assert [c for piece in cut for c in piece if c.isalnum()] == [c for c in text if c.isalnum()]
