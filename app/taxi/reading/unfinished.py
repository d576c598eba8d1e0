"""Whether somebody who fell silent has more to say: an address that lacks its number, a sentence that trails off.

It only lengthens a wait, so when in doubt a text is finished.
"""

import re
from collections.abc import Sequence

from app.taxi.places.candidates import Candidate, find_typed
from app.taxi.places.spelling import repair
from app.taxi.places.tokens import Token, tokenize
from app.taxi.reading.answers import is_no, is_yes
from app.taxi.text import compose, fold, word_set

_TRAILING = word_set("""
y e o u ni pero que porque cuando donde como si aunque
de del a al en con por para pa sin entre hasta desde hacia sobre tras según
el la los las lo un una unos unas mi mis tu su sus este esta estos estas ese esa cada
es son somos era sería serían queda quedan estoy estamos vivo voy vamos vengo salgo ir quiero quisiera necesito
necesitamos deseo solicito requiero pedir pagar recoger recójame recójanme lléveme llámame llamo puede puedes podría
puedo tengo número numero numeral nro núm guion guión raya calle cll cl carrera cra kra cr kr diagonal dg transversal tv
avenida av circular vía autopista kilómetro kilometro barrio urbanización sector edificio conjunto apartamento apto
torre bloque manzana lote frente cerca lado diagonal
perdón perdona perdone digo corrijo dicho espera espere espéreme espérame momento momentico
""")
"""Words that more must follow, as they are written: «está», «sí» and «él» may end what «esta», «si» and «el» do not."""

_WANTS_MORE = re.compile(
    r"(?:^|\s)(?:o sea|es decir|a ver|d[eé]j[ae]me (?:ver|pensar|mirar)|me puede|"
    r"c[oó]mo es que (?:es|se llama)|(?:^|[,.] ?)pues|e+h+|e+m+|m{3,}|hm+)[.,]*$"
)
_CUT = re.compile(r"(?:\.{2,}|[…;:#\-–—])\s*$")
_ASKED = re.compile(r"[?!]\s*$")
_FINISHED = re.compile(
    r"(?:^|\s)(?:as[ií] es|c[oó]mo es|cu[aá]l es|cu[aá]nto es|d[oó]nde (?:es|queda|voy)|barrio es|all[aá] voy|"
    r"ya voy|que voy|aqu[ií] estoy|ac[aá] estoy|ah[ií] (?:es|voy|queda)|al frente|de frente|al lado|te digo|"
    r"no s[eé] .+|l[oa]s? (?:llamo|quiero|necesito|puede|espero)|(?:del|al|el) este)$"
)
_WORD = re.compile(r"[^\W\d_]+")
_ABOUT_TELEPHONES = word_set("telefono celular cel movil whatsapp contacto")
_TELEPHONE_DIGITS = 10
_LATEST = 300
"""Characters: what was said long before says nothing of how it goes on."""


def is_unfinished(text: str) -> bool:
    """Say whether more words must follow these for them to make sense.

    Args:
        text: What a recogniser understood so far, in Spanish.
    """
    text = compose(text[-_LATEST:]).strip()
    if not text or is_yes(text) or is_no(text) or _ASKED.search(text):
        return False
    if _CUT.search(text):
        return True
    spoken = text.lower().rstrip(" .,")
    if _FINISHED.search(spoken):
        return False
    words = _WORD.findall(spoken)
    if words and spoken.endswith(words[-1]) and words[-1] in _TRAILING:
        return True
    if _WANTS_MORE.search(spoken):
        return True
    tokens = repair(tokenize(text))
    return _lacks_its_number(tokens) or _is_part_of_a_telephone(tokens)


def _lacks_its_number(tokens: Sequence[Token]) -> bool:
    """Say whether the text ends in an address that no taxi can go to yet."""
    found = find_typed(tokens)
    if not found:
        return False
    last = found[-1]
    if any(token.kind != "sign" and token.text not in ("no", "n") for token in tokens[last.after :]):
        return False
    return (bool(last.meaning.missing) and not last.meaning.rivals) or _may_want_a_plate(last, tokens)


def _may_want_a_plate(corner: Candidate, tokens: Sequence[Token]) -> bool:
    """Say whether a corner is only two numbers side by side: «calle 72 43» is mostly the beginning of «… 43-25»."""
    after_street = tokens[corner.first + 1 : corner.after]
    return corner.meaning.outcome == "corner" and all(token.kind == "number" for token in after_street)


def _is_part_of_a_telephone(tokens: Sequence[Token]) -> bool:
    """Say whether the text ends in the first digits of a mobile number, which has ten and begins with 3."""
    said: list[str] = []
    for token in reversed(tokens):
        if token.kind == "number":
            said.append(token.text)
        elif token.kind != "sign":
            break
    digits = "".join(reversed(said))
    if not digits.startswith("3") or len(digits) >= _TELEPHONE_DIGITS or find_typed(tokens):
        return False
    is_announced = any(fold(token.text) in _ABOUT_TELEPHONES for token in tokens)
    is_one_by_one = len(said) >= 3 and all(len(number) == 1 for number in said)
    return is_announced or is_one_by_one or len(digits) >= 6
