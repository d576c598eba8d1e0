"""Properties of the address parser over generated addresses and arbitrary text."""

import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.taxi.places import Address, Gazetteer, Via, parse_address, write_address
from app.taxi.places.vias import cross_kind

pytestmark = pytest.mark.unit

GAZETTEER = Gazetteer.load()
CORRIDORS = [
    Via("Avenida", name="Circunvalar"),
    Via("Avenida", name="Cordialidad"),
    Via("Avenida", name="Murillo"),
    Via("Avenida", name="Hamburgo"),
    Via("Paseo", name="Bolívar"),
    Via("Vía", number="40"),
]
letters = st.sampled_from(["", "", "", "A", "B", "C", "D", "F", "G", "H", "B1", "C5", "G2", "AA"])
numbers = st.integers(1, 199).map(str)
plates = st.one_of(st.integers(0, 999).map(str), st.integers(0, 9).map("0{}".format), st.integers(1000, 1999).map(str))
quadrants = st.sampled_from([None, None, None, "Sur", "Norte"])


@st.composite
def grid_vias(draw: st.DrawFn, kind: str | None) -> Via:
    bis = draw(st.booleans()) and draw(st.booleans())
    bis_letters = draw(st.sampled_from(["", "B"])) if bis else ""
    return Via(kind, draw(numbers), draw(letters), bis, bis_letters, draw(quadrants))


@st.composite
def streets(draw: st.DrawFn) -> Via:
    if draw(st.integers(0, 5)) == 0:
        return draw(st.sampled_from(CORRIDORS))
    kind = draw(st.sampled_from(["Calle", "Carrera", "Diagonal", "Transversal", "Avenida", "Avenida Calle"]))
    return draw(grid_vias(kind))


@st.composite
def addresses(draw: st.DrawFn) -> Address:
    street = draw(streets())
    cross = draw(grid_vias(cross_kind(street)))
    form = draw(st.sampled_from(["plate", "corner", "block", "km"]))
    if form == "plate":
        return Address(street, cross, plate=draw(plates))
    if form == "corner":
        return Address(street, cross)
    if form == "block":
        return Address(street, cross, between=draw(grid_vias(cross.kind)))
    return Address(draw(st.sampled_from(CORRIDORS)), km=draw(st.sampled_from(["1", "7", "2,5", "107", "3 + 700"])))


@given(addresses())
def test_what_is_written_is_read_back_the_same(address: Address) -> None:
    reading = parse_address(write_address(address), GAZETTEER)
    assert reading.parsed == address
    assert reading.address == write_address(address)


@given(addresses(), st.sampled_from(["Hola, necesito un taxi en {}, por favor", "estoy en la {} y somos 3 personas"]))
def test_an_address_inside_a_sentence_is_the_same_address(address: Address, sentence: str) -> None:
    reading = parse_address(sentence.format(write_address(address)), GAZETTEER)
    assert reading.address == write_address(address)


@given(addresses())
def test_case_accents_and_spelling_of_the_street_word_do_not_matter(address: Address) -> None:
    text = write_address(address).lower().replace("calle", "cll").replace("carrera", "cra").replace("í", "i")
    assert parse_address(text, GAZETTEER).parsed == address


UNITS = "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince".split()  # noqa: SIM905
UNITS += ["dieciséis", "diecisiete", "dieciocho", "diecinueve", "veinte"]
UNITS += [f"veinti{word}" for word in UNITS[1:10]]
TENS = {3: "treinta", 4: "cuarenta", 5: "cincuenta", 6: "sesenta", 7: "setenta", 8: "ochenta", 9: "noventa"}
HUNDREDS = ["", "ciento", "doscientos", "trescientos", "cuatrocientos", "quinientos", "seiscientos", "setecientos"]
HUNDREDS += ["ochocientos", "novecientos"]


def spoken(number: int) -> str:
    """Number in words, written here independently of the code under test."""
    if number < 30:
        return UNITS[number]
    if number < 100:
        tens, unit = divmod(number, 10)
        return TENS[tens] + (f" y {UNITS[unit]}" if unit else "")
    if number == 100:
        return "cien"
    hundreds, rest = divmod(number, 100)
    return HUNDREDS[hundreds] + (f" {spoken(rest)}" if rest else "")


@st.composite
def spoken_and_written(draw: st.DrawFn) -> tuple[str, str]:
    """An address as it is said and as it is written."""
    kind, other = draw(st.sampled_from([("Calle", "Carrera"), ("Carrera", "Calle")]))
    street, generator, plate = draw(st.integers(1, 150)), draw(st.integers(1, 120)), draw(st.integers(11, 350))
    letter, suffix = draw(st.sampled_from(["", "b", "c", "f", "g"])), draw(st.integers(1, 9))
    with_suffix = draw(st.booleans()) and letter
    said_letter = f" {letter}" + (f" {spoken(suffix)}" if with_suffix else "") if letter else ""
    written_letter = letter.upper() + (str(suffix) if with_suffix else "")
    if draw(st.booleans()):
        said = f"{kind.lower()} {spoken(street)} número {spoken(generator)}{said_letter} {spoken(plate)}"
        return said, f"{kind} {street} #{generator}{written_letter}-{plate}"
    said = f"{kind.lower()} {spoken(street)} con {other.lower()} {spoken(generator)}{said_letter}"
    return said, f"{kind} {street} con {other} {generator}{written_letter}"


@given(spoken_and_written())
def test_the_spoken_and_the_written_form_are_read_alike(forms: tuple[str, str]) -> None:
    said, written = forms
    reading = parse_address(said, GAZETTEER)
    if reading.status == "ambiguous":
        # "cuarenta b uno" at the end may be a plate; then the right form is among the choices
        assert written in reading.choices
    else:
        assert reading.address == written


SNIPPETS = st.sampled_from(
    ["calle ", "cra ", "#", "-", " con ", "72", "43 b ", " no, ", "perdón ", "barrio ", "el prado ", "setenta y ",
     "km ", "\0", "🚕", "entre ", " y ", "la ", "apto ", "a", "999999999999", ", ", "villa ", "soledad ", "ñ", "½", "٣",
     "frente a "]
)  # fmt: skip


@given(st.one_of(st.text(max_size=4000), st.lists(SNIPPETS, max_size=400).map("".join)))
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
def test_any_text_gets_a_reading_whose_spans_lie_in_it(text: str) -> None:
    reading = parse_address(text, GAZETTEER)
    assert reading.status in {"address", "corner", "place", "ambiguous", "not_an_address"}
    assert all(0 <= start < end <= len(text) for start, end in reading.spans)
    assert (reading.address is None) == (reading.status in {"ambiguous", "not_an_address"})
    assert reading.status != "ambiguous" or reading.ask


@given(st.lists(SNIPPETS, max_size=40).map("".join))
def test_digits_of_an_address_all_come_from_the_text(text: str) -> None:
    reading = parse_address(text, GAZETTEER)
    if reading.parsed is None or "set" in text:
        return
    said = "".join(str(int(character)) for character in text if character.isdecimal())
    for via in (reading.parsed.street, reading.parsed.cross, reading.parsed.between):
        if via is not None and via.number and via.name is None:
            assert via.number in said


@pytest.mark.parametrize(
    "text",
    [
        "7" * 4000,
        "calle " * 600,
        "calle 7 " * 500,
        "calle 72 #43-25, perdón, " * 160,
        "no, " * 1000,
        "1 con 2 y " * 400,
        "uno b dos c " * 300,
        "villa barrio " * 300,
        "aeropuerto " * 360,
        "la 72 con 43 o " * 260,
        "🚕" * 4000,
        "\0" * 4000,
        "\ud800" * 4000,
        "<script>alert('calle 72')</script>" * 100,
        "a" * 4000,
        "-#" * 2000,
        "٣" * 4000,
        "mil cero " * 400,
    ],
)
def test_hostile_texts_of_the_longest_size_get_a_reading(text: str) -> None:
    assert parse_address(text, GAZETTEER).status


def _calls(text: str) -> int:
    """How many Python and C functions a parse calls: a measure of work without a clock."""
    count = 0

    def observe(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(observe)
    try:
        parse_address(text, GAZETTEER)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(
    "piece",
    [
        "calle 72 ", "calle 7 #4-5, perdón, ", "1 con 2 y ", "villa ", "barrio vila carolna ", "no, ", "casa ", "a ",
        "9", "# ", "frente al parque ", "el prado ", "uno b dos c ", "calel ", "soy ", "20 de julio ",
        "km 3 ", "aeropuerto ",
    ],
)  # fmt: skip
def test_work_grows_no_faster_than_the_text(piece: str) -> None:
    half, whole = (piece * (4000 // len(piece)))[:2000], (piece * (4000 // len(piece)))[:4000]
    assert _calls(whole) <= 2.3 * _calls(half) + 200
