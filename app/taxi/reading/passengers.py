"""How many travel: «somos cuatro», «voy sola», «dos adultos y un niño»."""

import re
from typing import NamedTuple

from app.taxi.reading.numbers import NUMBER, number

_PEOPLE = r"(?:personas?|pasajer[oa]s?|adult[oa]s?|gente|amig[oa]s|people|passengers?)"
_PASSENGERS = re.compile(
    rf"\b(?:somos|vamos|viajamos|iremos|seremos|van|seriamos|we are|we're)(?: (?:como|a ser|unos|unas|en total|"
    rf"los)){{0,3}} (?P<are>(?!una? (?!persona|pasajer|solo))(?!una?\W*$){NUMBER})"
    r"(?! (?:cuadras|con|minutos|horas|calles|maletas|perros|bloques|numero|#|-))"
    rf"(?: (?P<adults>adult[oa]s?) (?:y|con|mas|,) (?P<children>{NUMBER}) (?:nin|beb|menor|pela|nen)\w+)?"
    rf"|(?<!con )\b(?P<count>{NUMBER}) {_PEOPLE}(?: (?:y|con|mas|,) (?P<more>{NUMBER}) (?:nin|beb|menor|pela|nen)\w+)?"
    rf"|\b(?P<alone>(?:voy|viajo|es|soy|para mi|estoy|vengo|salgo|va) (?:yo )?sol[oa]\b(?! (?:con|que|pago|efectivo|en|"
    rf"una?))|(?:para )?mi sol[oa]|solo (?:yo|voy yo)|yo sol[oa])\b"
    r"|\b(?:taxi|servicio|carro|camioneta) para (?P<for>dos|tres|cuatro|cinco|seis|siete|[2-7])\b"
    r"(?! (?:con (?:calle|carrera|\d)|#|y media|de|pm|am|\d|calle|carrera|horas|minutos))"
    r"|\b(?P<pair>somos (?:mi |el |la )?\w+ y yo|(?:mi \w+ y yo)|yo y mi \w+)\b"
)
_MOST_PASSENGERS = 60

_HUMAN_BEFORE = re.compile(r"\b(?:hablar|quiero|con|otra|pas\w+|comuni\w+|necesito)\W+(?:(?:con|a|hablar)\W+)*$")


class PassengersReading(NamedTuple):
    """What a sentence says about how many travel."""

    passengers: int | None
    spans: tuple[tuple[int, int], ...]


def read_passengers(folded: str) -> PassengersReading:
    """Read how many travel."""
    found = list(_PASSENGERS.finditer(folded))
    # «no somos tres, somos cuatro»: what is denied counts only where nothing is put in its place.
    said = [match for match in found if not re.search(r"\bno $", folded[: match.start()])]
    for match in said or found:
        if match["alone"] or match["pair"]:
            return PassengersReading(1 if match["alone"] else 2, (match.span(),))
        count = number(match["are"] or match["count"] or match["for"])
        extra = match["children"] or match["more"]
        count += number(extra) if extra else 0
        if 1 <= count <= _MOST_PASSENGERS and not (
            match["count"] and match["count"] in ("una", "un") and _HUMAN_BEFORE.search(folded[: match.start()])
        ):
            return PassengersReading(count, (match.span(),))
    return PassengersReading(None, ())
