"""Repair of misspelt street words before an address is read."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from app.taxi.places.lexicon import words
from app.taxi.places.matching import Speller
from app.taxi.places.tokens import Token
from app.taxi.places.vias import KINDS

_SHORTEST: Final = 5
_BEFORE_NUMBERS: Final = Speller(
    ["calle", "carrera", "avenida", "diagonal", "transversal", "numero", "kilometro"], shortest=_SHORTEST
)
_NAMES: Final = Speller(
    ["circunvalar", "cordialidad", "murillo", "esquina", "frente", "carrera", "avenida"], shortest=_SHORTEST
)
_MISHEARD_CALLE: Final = {"caye": "calle", "kaye": "calle", "cayen": "calle", "caie": "calle"} | dict.fromkeys(
    ("escalle", "escalles", "escaille", "escaye"), "calle"
)
"""How recognisers hear «calle», or «es calle», before a number: too short for the speller, or several slips away."""
_REAL_WORDS: Final = words("valle salle talle halle dalle falle callo calma calmo diagonales numeros frentes")
_STUTTERED: Final = frozenset(kind for kind in KINDS if len(kind) > 3) | words("numero barrio con")
"""Words that a bad line or a hesitant rider doubles."""


def _leads_to_number(tokens: Sequence[Token], index: int) -> bool:
    after = index + 1
    while after < len(tokens) and tokens[after].text in {".", "#", "la", "°"} and after < index + 3:
        after += 1
    return after < len(tokens) and tokens[after].kind == "number"


def repair(tokens: Sequence[Token]) -> list[Token]:
    """Correct street words one slip away from the right spelling; spans stay those of the original.

    Args:
        tokens: the text.

    Returns:
        The tokens, with "calel 72" as "calle 72", "circunvalr" as "circunvalar" and "calle calle 72" said once.
    """
    out: list[Token] = []
    for index, token in enumerate(tokens):
        if out and token.text == out[-1].text and token.text in _STUTTERED:
            continue
        if (
            token.kind == "word"
            and 4 <= len(token.text) <= 14
            and token.text not in KINDS
            and token.text not in _REAL_WORDS
        ):
            word = token.text
            if _leads_to_number(tokens, index):
                word = _MISHEARD_CALLE.get(word) or _BEFORE_NUMBERS.correct(word)
            if word == token.text and len(word) > 5:
                word = _NAMES.correct(word)
            out.append(replace(token, text=word) if word != token.text else token)
        else:
            out.append(token)
    return out
