"""What helps the driver beyond the street: apartment, tower, building, and landmarks beside the address."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.taxi.places.items import UNIT_NOUNS
from app.taxi.places.lexicon import words
from app.taxi.places.numerals import LETTERS
from app.taxi.places.tokens import Token
from app.taxi.places.vias import KINDS, QUADRANTS

_NUMBERED: Final[dict[str, str]] = {
    word: label
    for label, words in {
        "Apto": "apto apartamento apartment apt aptos apartaestudio apartamentos apparta",
        "Torre": "torre tor torres",
        "Bloque": "bloque blq bloq",
        "Casa": "casa",
        "Piso": "piso",
        "Interior": "interior int",
        "Local": "local loc",
        "Oficina": "oficina ofic ofi",
        "Etapa": "etapa",
        "Manzana": "manzana mz mza mzna",
        "Lote": "lote lt",
        "Bodega": "bodega bdg",
        "Consultorio": "consultorio",
        "Parqueadero": "parqueadero",
        "Portería": "porteria",
        "Habitación": "habitacion",
        "Módulo": "modulo",
        "Muelle": "muelle",
    }.items()
    for word in words.split()
}
_NAMED: Final[dict[str, str]] = {
    "edificio": "Edificio", "edif": "Edificio", "conjunto": "Conjunto", "conj": "Conjunto", "torres": "Torres",
    "urbanizacion": "Urbanización", "urb": "Urbanización", "condominio": "Condominio", "hotel": "Hotel",
    "parqueadero": "Parqueadero",
}  # fmt: skip
_BEFORE_LANDMARK: Final[tuple[tuple[str, ...], ...]] = (
    ("al", "frente"), ("frente",), ("al", "lado"), ("diagonal", "a"), ("diagonal", "al"), ("detras",), ("cerca",),
    ("junto", "a"), ("junto", "al"), ("entrada",), ("esquina",), ("contiguo",), ("encima",), ("debajo",),
)  # fmt: skip
_PHRASE_STOPS: Final = words(
    "en por para barrio y con que es hasta somos voy necesito pago estoy quiero soy desde gracias porfa "
    "porfavor favor llevo tengo pero mi hacia urgente ahora ya manda mande mandeme"
)
_LINKING: Final = words("de del la el los las a al")
_MAX_NAME: Final = 4
_MAX_LANDMARK: Final = 7


@dataclass(frozen=True, slots=True)
class Complement:
    """A complement as the driver reads it, with the tokens it covers."""

    text: str
    first: int
    after: int


def _text(tokens: Sequence[Token], index: int) -> str:
    return tokens[index].text if 0 <= index < len(tokens) else ""


def _numbered(tokens: Sequence[Token], index: int) -> Complement | None:
    """Read "apto 302", "torre B", "manzana C 4", "casa número 5A"."""
    label = _NUMBERED.get(tokens[index].text)
    if label is None:
        return None
    after = index + 1
    while _text(tokens, after) in {".", "#", "no", "numero", "n", "°", "nro", ":"} and after < index + 4:
        after += 1
    if after >= len(tokens):
        return None
    token = tokens[after]
    if token.kind == "number":
        if len(token.text) > 5 or _text(tokens, after + 1) in UNIT_NOUNS:
            return None
        value, after = token.text, after + 1
        following = tokens[after] if after < len(tokens) else None
        if following is not None and following.kind == "word" and len(following.text) == 1:
            if following.glued or following.text not in "yaoeu":
                value, after = value + following.text.upper(), after + 1
        elif (
            following is not None and following.text == "-" and after + 1 < len(tokens)
            and tokens[after + 1].glued and tokens[after + 1].kind == "number" and len(tokens[after + 1].text) < 5
        ):  # fmt: skip
            value, after = f"{value}-{tokens[after + 1].text}", after + 2
        return Complement(f"{label} {value}", index, after)
    if token.kind == "word" and ((len(token.text) == 1 and token.text not in "yaoeu") or token.text in LETTERS or (
        token.text == "a" and label in {"Torre", "Bloque", "Manzana"}
    )):  # fmt: skip
        value, after = LETTERS.get(token.text, token.text.upper()), after + 1
        number = tokens[after] if after < len(tokens) and tokens[after].kind == "number" else None
        if number is not None and len(number.text) < 4 and _text(tokens, after + 1) not in UNIT_NOUNS:
            value, after = value + number.text, after + 1
        return Complement(f"{label} {value}", index, after)
    if token.text in QUADRANTS and label in {"Torre", "Portería"}:
        return Complement(f"{label} {QUADRANTS[token.text]}", index, after + 1)
    return None


def _phrase_end(tokens: Sequence[Token], index: int, limit: int, masked: frozenset[int]) -> int:
    """Where a name or landmark that begins at ``index`` ends."""
    end = index
    while end < len(tokens) and end - index < limit and end not in masked:
        token = tokens[end]
        if token.kind not in {"word", "number"} or token.text in _PHRASE_STOPS:
            break
        if end > index and (token.text in _NUMBERED or (token.text in KINDS and len(token.text) > 1)):
            break
        end += 1
    while end > index and tokens[end - 1].text in _LINKING:
        end -= 1
    return end


def _named(text: str, tokens: Sequence[Token], index: int, masked: frozenset[int]) -> Complement | None:
    """Read "edificio Miramar", "conjunto Los Robles"."""
    label = _NAMED.get(tokens[index].text)
    if label is None:
        return None
    begin = index + 1
    while _text(tokens, begin) in {".", "residencial", "cerrado"} and begin < index + 4:
        begin += 1
    end = _phrase_end(tokens, begin, _MAX_NAME, masked)
    if end <= begin or tokens[begin].kind != "word" or tokens[begin].text in {"de", "del"}:
        return None
    name = " ".join(text[tokens[begin].start : tokens[end - 1].end].split())
    return Complement(f"{label} {name}", index, end)


def _landmark(text: str, tokens: Sequence[Token], index: int, masked: frozenset[int]) -> Complement | None:
    """Read "frente al parque", "al lado de la farmacia"."""
    for phrase in _BEFORE_LANDMARK:
        if all(_text(tokens, index + i) == word for i, word in enumerate(phrase)):
            begin = index + len(phrase)
            end = _phrase_end(tokens, begin, _MAX_LANDMARK, masked)
            if end <= begin or not any(tokens[i].text not in _LINKING for i in range(begin, end)):
                return None
            said = " ".join(text[tokens[index].start : tokens[end - 1].end].split())
            return Complement(said[0].upper() + said[1:], index, end)
    return None


def complements(text: str, tokens: Sequence[Token], masked: frozenset[int]) -> list[Complement]:
    """Find the complements of an address.

    Args:
        text: what the rider said.
        tokens: the same in tokens.
        masked: token positions that belong to the street or a neighbourhood.

    Returns:
        Complements in the order of the text.
    """
    found: list[Complement] = []
    index = 0
    while index < len(tokens):
        if tokens[index].kind != "word" or index in masked:
            index += 1
            continue
        one = _numbered(tokens, index) or _named(text, tokens, index, masked) or _landmark(text, tokens, index, masked)
        if one is None or any(position in masked for position in range(one.first, one.after)):
            index += 1
            continue
        found.append(one)
        index = one.after
    return found
