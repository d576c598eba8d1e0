"""Spoken numbers and letters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.taxi.places import read_letters, read_number, spoken_to_digits

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("words", "digits"),
    [
        ("setenta y dos", "72"),
        ("cuarenta y dos b uno", "42B1"),
        ("veintiseis c cinco", "26C5"),
        ("ventiseis", "26"),
        ("ventisiete", "27"),
        ("cientodós", "102"),
        ("docientos diez", "210"),
        ("cero cinco", "05"),
        ("ciento dos", "102"),
        ("ciento veinte", "120"),
        ("cuarenta y seis c ciento veinte", "46C 120"),
        ("doce a", "12A"),
        ("doble a", "doble a"),
        ("cuarenta y tres doble a", "43AA"),
        ("cincuenta y uno be", "51B"),
        ("nueve jota", "9J"),
        ("cuarenta y tres guion veinticinco", "43-25"),
        ("mil cuatrocientos noventa", "1490"),
        ("treintaidos", "32"),
        ("cien", "100"),
        ("nada", "nada"),
    ],
)
def test_spoken_numbers_become_digits(words: str, digits: str) -> None:
    assert spoken_to_digits(words) == digits


def test_tens_and_unit_without_y_are_two_numbers() -> None:
    assert spoken_to_digits("treinta ocho") == "30 8"


def test_a_number_tells_where_it_ends() -> None:
    assert read_number(["setenta", "y", "dos", "con"]) == ("72", 3)
    assert read_number(["hola"]) is None
    assert read_number([]) is None


def test_conjunctions_are_no_letters() -> None:
    assert read_letters(["y"]) is None
    assert read_letters(["o"]) is None
    assert read_letters(["doble", "a"]) == ("AA", 2)
    assert read_letters(["be", "larga"]) == ("B", 2)


@given(st.text(max_size=200))
def test_any_text_is_rewritten_without_an_error(text: str) -> None:
    assert isinstance(spoken_to_digits(text), str)
