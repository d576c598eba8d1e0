"""What a rider's line sounds like: written addresses in words, accents where a recogniser's spelling has none. Pure.

A rider's own way of reading, apart from how the agent reads aloud: who judges shares no rules with who is judged.
"""

import re

from num2words import num2words  # type: ignore[import-untyped]

from app.evals.scenario import Topic
from app.evals.words import tokens

_LONGEST_TO_REPHRASE = 4
"""Words; who said more said a sentence already."""

_WRITTEN = (
    "número números sí dirección aquí allá ahí así señora señorita mamá tú clínica hipódromo jardín josé andrés simón"
    " bolívar unión dieciséis veintidós veintitrés veintiséis débito qué cómo días también crédito aló apóstol mándame"
    " mándeme mándelo espéreme aguántame subió rápido cuánto dólar chiquinquirá miércoles sábado después recójame"
    " recógeme envíeme envíame pídeme está más"
)
_ACCENTS = {word.translate(str.maketrans("áéíóú", "aeiou")): word for word in _WRITTEN.split()}
del _ACCENTS["tu"]
_ACCENTS |= {"ventiseis": "veintiséis", "ventisiete": "veintisiete"}
_NAMES = "b=be c=ce d=de e=e f=efe g=ge h=hache i=i j=jota k=ka l=ele m=eme n=ene p=pe q=cu r=erre s=ese t=te u=u v=ve"
_LETTERS = dict(pair.split("=") for pair in f"{_NAMES} x=equis z=zeta".split()) | {"w": "doble ve"}
_OTHERWISE: dict[Topic, dict[str, str]] = {
    "payment": {
        "nequi": "Voy a pagar con Nequi",
        "efectivo": "Voy a pagar en efectivo",
        "tarjeta": "Voy a pagar con tarjeta",
        "daviplata": "Voy a pagar con Daviplata",
    },
    "confirm": dict.fromkeys(("si", "dale", "listo", "confirmo", "correcto"), "Sí, confirmo el taxi"),
    "specials": {"no": "No, no necesito nada más", "ninguna": "No, no necesito nada más"},
}
"""How somebody says again what was not understood, by what was asked and a word of what they said."""
_SHORT = (
    (re.compile(r"\b(?:cra|cr|kra|kr|carr)\b\.?", re.I), "carrera"),
    (re.compile(r"\b(?:cll|cl|clle)\b\.?", re.I), "calle"),
    (re.compile(r"\b(?:dg|diag)\b\.?", re.I), "diagonal"),
    (re.compile(r"\b(?:tv|transv|trv)\b\.?", re.I), "transversal"),
    (re.compile(r"\bapto\b\.?", re.I), "apartamento"),
    (re.compile(r"\bcc\b\.?", re.I), "centro comercial"),
    (re.compile(r"\bedif\b\.?", re.I), "edificio"),
    (re.compile(r"(?:\b(?:no|nro|num)\b\.?|#)(?=\s*\d)", re.I), " número "),
)
_ADDRESS_DASH = re.compile(r"(?<=[\dA-Za-z])\s*-\s*(?=\d)")
_NUMBER = re.compile(r"(\d+)([A-Za-z]?)(\d*)(?![\d])")
_CLOCK = re.compile(r"\b(\d{1,2}):(\d{2})\b")
_LONE_LETTER = re.compile(r"(?<=\s)([bcdfghjklmnpqrstvwxz])(?=\s|$|,|\.)", re.I)


def as_said(text: str) -> str:
    """Return a rider's line as it is said: every number in words, streets and letters by their names."""
    said = text
    for pattern, word in _SHORT:
        said = pattern.sub(word, said)
    said = _CLOCK.sub(_clock, said)
    said = _ADDRESS_DASH.sub(" ", said)
    said = _NUMBER.sub(_number, said)
    said = _LONE_LETTER.sub(lambda found: _LETTERS[found.group(1).lower()], said)
    said = re.sub(r"\s+([,.;:?!])", r"\1", " ".join(_accented(word) for word in said.split()))
    said = said[:1].upper() + said[1:]
    return said if said[-1:] in ".!?" else f"{said}."


def otherwise(text: str, topic: Topic | None) -> str:
    """Return how somebody says again what was not understood: in a whole sentence, where there is one for it.

    Args:
        text: What they said.
        topic: What they were asked.
    """
    if topic is None or len(text.split()) > _LONGEST_TO_REPHRASE:
        return text
    said = tokens(text)
    if topic in ("confirm", "neighborhood") and "no" in said:
        return text  # it is another thing that is said
    if topic == "neighborhood":
        return f"El barrio se llama {text.strip(' .')}"
    return next((sentence for word, sentence in _OTHERWISE.get(topic, {}).items() if word in said), text)


def words_in_full(text: str) -> str:
    """Return what a recogniser wrote with its numbers in words, to be compared with what was said."""
    return _NUMBER.sub(_number, _ADDRESS_DASH.sub(" ", text.replace("#", " número ")))


def _clock(found: re.Match[str]) -> str:
    minutes = "" if found[2] == "00" else f" y {int(found[2])}"
    return f"{int(found[1])}{minutes}"


def _number(found: re.Match[str]) -> str:
    """Say a number of an address: «43B1» is «cuarenta y tres be uno», «05» is «cero cinco»."""
    whole, letter, rest = found.groups()
    parts = [_in_words(whole)]
    if letter:
        parts.append(_LETTERS.get(letter.lower(), letter.lower()))
    if rest:
        parts.append(_in_words(rest))
    return f" {' '.join(parts)} "


def _in_words(digits: str) -> str:
    if len(digits) > 6:  # a telephone number
        return " ".join(num2words(int(digit), lang="es") for digit in digits)
    zeros = len(digits) - len(digits.lstrip("0"))
    leading = ["cero"] * (zeros if digits.strip("0") else 0)
    return " ".join([*leading, str(num2words(int(digits), lang="es"))])


def _accented(word: str) -> str:
    core = word.strip(",.;:!?¿¡")
    found = _ACCENTS.get(core.casefold())
    if found is None:
        return word
    return word.replace(core, found if core.islower() else found.capitalize())
