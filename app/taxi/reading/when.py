"""When a rider wants the taxi: «ahora», a time of day, a day, or so many minutes from now. No clock is read here."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from app.taxi.reading.numbers import NUMBER, number
from app.taxi.text import words


class TimeReading(NamedTuple):
    """What a sentence says about when."""

    when: str | None
    spans: tuple[tuple[int, int], ...]


_PART = (
    r"(?P<part>a\.? ?m\b\.?|p\.? ?m\b\.?|a eme|pe eme|(?:de|en|por) la (?:manj?ana|mananita|tarde|tardecita|noche|"
    r"madrugada)|del? (?:medio ?dia|dia)|"
    r"in the (?:morning|afternoon|evening))"
)
_CLOCK = re.compile(
    rf"\b(?:(?:a|para|tipo|sobre|hacia|desde) )(?:eso de )?(?:las|la(?= (?:una|1)\b)|(?<=manana a )la|(?<=hoy a )la) "
    rf"(?P<hour>{NUMBER})(?! ave\b)"
    rf"(?:(?:[:.]| ?h ?)(?P<digits>[0-5]\d)\b| y (?P<half>media|cuarto|{NUMBER})| (?P<spoken>{NUMBER})(?! \d)|"
    rf" menos (?P<less>cuarto|{NUMBER}))?"
    rf"(?: en punto)?(?:\W{{1,2}}{_PART}|(?P<tight>[ap]m)\b)?"
)
_CLOCK_WITH_PART = re.compile(
    rf"\b(?:las |la |at |tipo )?(?P<hour>{NUMBER})(?:[:.](?P<digits>[0-5]\d)| y (?P<half>media|cuarto|{NUMBER})|"
    rf" (?P<spoken>treinta|quince|cuarenta y cinco|30|15|45))? ?{_PART}"
)
_CLOCK_TO = re.compile(
    rf"\b(?:(?:a|faltando|faltan|un|al) ){{0,2}}(?P<less>cuarto|5|10|15|20|25|cinco|diez|"
    rf"quince|veinte|veinticinco) para las? (?P<hour>{NUMBER})(?! ave\b)(?:\W{{1,2}}{_PART})?"
)
_CLOCK_DIGITS = re.compile(r"(?<![\d#:.-])(?P<hour>[01]?\d|2[0-3]):(?P<digits>[0-5]\d)\b(?! ?[-#])")
_NOON = re.compile(r"\b(?:al|a|de) (?P<noon>medio ?dia)\b|\b(?:a|a la|de) (?P<midnight>media ?noche)\b")

_RELATIVE = re.compile(
    rf"\b(?:en|dentro de|in)\W(?:(?:unos|unas|como|mas o menos|about) )?"
    rf"(?:(?P<half>media hora|half an hour)|(?P<quarter>un cuarto de hora)|(?P<odd>una? hora y media|hora y media)"
    rf"|(?P<count>{NUMBER}|an?) ?(?P<unit>min(?:ut(?:ic|it)?os?)?|mins|minutes?|hor(?:it)?as?|hours?|hrs?|"
    rf"h)\b(?P<more> y media)?"
    rf"|(?P<while>un (?:rato|ratico|ratito)))\b"
)
_LATER = re.compile(r"\bmas tarde(?:cito)?\b")
_NOT_A_WISH = re.compile(
    r"\b(?:llega|llegan|llegaba|dijeron|dijiste|dijo|esperando|demora|demoran|tarda|viene|pasa)\W(?:\w+\W)?$"
)
_APPOINTMENT = re.compile(
    r"\b(?:vuelo|cita|bus|turno|clases?|reunion|misa|examen|estar|llegar|sale|abren|cierran)\b[^,.;]{0,25}$"
)

_WEEKDAYS = {
    "lunes": "lunes", "martes": "martes", "miercoles": "miércoles", "jueves": "jueves", "viernes": "viernes",
    "sabado": "sábado", "domingo": "domingo",
}  # fmt: skip
_MONTHS = words("""
enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
""")
_NAMED_AFTER_DATES = frozenset(
    {(20, "julio"), (7, "agosto"), (7, "abril"), (1, "mayo"), (12, "octubre"), (13, "mayo"), (16, "julio")}
)
"""Neighbourhoods and streets of the area that are called by a date."""
_DAY = re.compile(
    r"\b(?P<after>pasado manj?ana)\b|(?<!la )(?<!hasta )(?<!de )(?<!esta )(?<!buena )\b(?P<tomorrow>manj?ana|"
    r"tomorrow)\b(?! (?:mismo no|te|le|les)\b)|\b(?P<today>hoy|today)\b"
    r"|\besta (?P<this>manana|tarde|noche)\b|\b(?P<tonight>tonight)\b"
    rf"|(?<!santo )(?<!20 )\b(?:(?:el|este|proximo|"
    rf"para el) ){{1,3}}(?:proximo )?(?P<weekday>{'|'.join(_WEEKDAYS)})\b(?! de (?:ramos|"
    rf""
    rf""
    rf""
    rf"carnaval))"
    rf"|\b(?:el|para el|dia) (?P<date>{NUMBER}) de (?P<month>{'|'.join(_MONTHS)})\b"
)
_PART_ALONE = re.compile(r"\b(?:en|por) la (?P<part>manj?ana|tarde|noche|madrugada)\b")
_NOW = re.compile(
    r"\b(?<!por )(?<!hasta )(?<!de )(?<!desde )(?:ahora(?: mismo| ya)?|ahoritica|ahorita)\b(?! (?:te|le|les|no|si|"
    r"que|bien|eres|seras|son)\b)(?! mas tarde)"
    r"|\bya mismo\b|\bpara ya\b|\binmediat\w+|\b(?:de )?inmediato\b|\ben ?seguida\b|\bcuanto antes\b|"
    r"\blo (?:antes posible|mas (?:pronto|rapido)(?: posible| que puedas?)?)\b|\bde una vez\b"
    r"|\burgente(?:mente)?\b|\bright now\b|\basap\b|(?<!not )\bnow\b"
    r"|\b(?:necesito|quiero|manden?\w*|envien?\w*|urge)\b[^.,;?]{0,30}?\bya\W*$"
)
_RATHER = re.compile(r"\b(?:mejor|sino|perdon|digo|no)\W+(?:(?:que sea|para|es|a)\W+)*$")


def read_when(folded: str) -> TimeReading:
    """Read when a rider wants to be picked up.

    A time whose half of the day is said is written «07:00», «19:30»; one that is not stays as it was said,
    «a las 7:00», because nobody but the rider knows. A day comes first: «mañana 07:00». What is from now stays so:
    «en 30 minutos». Times of other things («mi vuelo sale a las 5») are not read.
    """
    relative = next(
        (m for m in _RELATIVE.finditer(folded) if not _NOT_A_WISH.search(folded[max(0, m.start() - 30) : m.start()])),
        None,
    )
    now = _last(_NOW.finditer(folded))
    clock = _clock(folded)
    day = _last(_DAY.finditer(folded))
    day_text = _day(day) if day else None
    if now and (not (relative or clock or day_text) or _RATHER.search(folded[max(0, now.start() - 20) : now.start()])):
        return TimeReading("ahora", (now.span(),))
    if relative:
        return TimeReading(_relative(relative), (relative.span(),))
    if clock and day and day.start() < clock[1][1] and clock[1][0] < day.end():
        day, day_text = None, None
    spans = tuple(sorted([*([clock[1]] if clock else []), *([day.span()] if day and day_text else [])]))
    part = _part_of_day(day) if day else None
    later = _PART_ALONE.search(folded)
    if later and not (clock and clock[1][0] <= later.start() < clock[1][1]):
        part = later["part"]
        spans = tuple(sorted([*spans, later.span()])) if day_text or clock else spans
    if clock:
        time = clock[0].written(part)
        return TimeReading(f"{day_text} {time}" if day_text else time, spans)
    if day_text == "hoy" and not part:
        return TimeReading(None, ())  # «hoy se me dañó el carro»: no time at all
    if day_text:
        return TimeReading(f"{day_text} en la {_WRITTEN_PART[part]}" if part else day_text, spans)
    if later:
        return TimeReading(f"en la {_WRITTEN_PART[later['part']]}", (later.span(),))
    if match := _LATER.search(folded):
        return TimeReading("más tarde", (match.span(),))
    return TimeReading(None, ())


_WRITTEN_PART = {"manana": "mañana", "manjana": "mañana", "tarde": "tarde", "noche": "noche", "madrugada": "madrugada"}


def written_clock(hour: int, minute: int, part: str | None) -> str:
    """Return a time as it is kept: «19:30», or «a las 7:30» without a part of the day (folded, or am and pm)."""
    return _Clock(hour, minute, part, explicit=False).written(None)


class _Clock(NamedTuple):
    hour: int
    minute: int
    part: str | None
    explicit: bool
    """Written in 24 hours, as «07:30» is."""

    def written(self, part: str | None) -> str:
        part = self.part or part
        hour = self.hour
        if part == "noche":
            hour = 0 if hour == 12 else hour + 12 if 5 <= hour < 12 else hour
        elif part in ("tarde", "pm"):
            hour = hour + 12 if hour < 12 else hour
        elif part in ("manana", "madrugada", "am"):
            hour = 0 if hour == 12 else hour
        elif part is None and not self.explicit and 1 <= hour <= 12:
            return f"a la{'s' if hour > 1 else ''} {hour}:{self.minute:02d}"
        return f"{hour % 24:02d}:{self.minute:02d}"


def _last(matches: Iterable[re.Match[str]]) -> re.Match[str] | None:
    found = None
    for match in matches:
        found = match
    return found


_PARTS = {
    "am": "am",
    "aeme": "am",
    "pm": "pm",
    "peeme": "pm",
    "morning": "manana",
    "afternoon": "tarde",
    "evening": "noche",
}


def _part(words: str | None) -> str | None:
    """Return the half of the day that «p. m.», «de la noche», «del mediodía» name."""
    if words is None:
        return None
    plain = re.sub(r"[^a-z]", "", words)
    if "dia" in plain:
        return "pm"
    last = words.split()[-1].replace("mananita", "manana").replace("manjana", "manana").replace("tardecita", "tarde")
    return _PARTS.get(plain) or _PARTS.get(last) or last


def _minutes(words: str | None) -> int:
    if words is None:
        return 0
    return {"media": 30, "cuarto": 15}.get(words) or (number(words) if words not in ("media", "cuarto") else 0)


def _clock(folded: str) -> tuple[_Clock, tuple[int, int]] | None:
    """Return the last time of day that is not of something else, and where it stands."""
    found: list[tuple[int, int, _Clock]] = []
    for pattern in (_CLOCK_TO, _CLOCK_WITH_PART, _CLOCK, _CLOCK_DIGITS, _NOON):
        for match in pattern.finditer(folded):
            start, end = match.span()
            if any(start < other_end and other_start < end for other_start, other_end, _ in found):
                continue
            clock = _read_clock(match)
            if clock and not _APPOINTMENT.search(folded[max(0, start - 45) : start]):
                found.append((start, end, clock))
    if not found:
        return None
    start, end, clock = max(found)
    return clock, (start, end)


def _read_clock(match: re.Match[str]) -> _Clock | None:
    groups = match.groupdict()
    if groups.get("noon"):
        return _Clock(12, 0, None, True)
    if groups.get("midnight"):
        return _Clock(0, 0, None, True)
    hour = number(groups["hour"])
    part = _part(groups.get("part") or groups.get("tight"))
    less = _minutes(groups.get("less"))
    digits = groups.get("digits")
    minute = int(digits) if digits else _minutes(groups.get("half")) or _minutes(groups.get("spoken"))
    if less:
        hour, minute = (hour - 1) or 12, 60 - less
    if hour > 24 or not 0 <= minute < 60:
        return None
    return _Clock(hour % 24, minute, part, groups["hour"].startswith("0"))


def _relative(match: re.Match[str]) -> str:
    if match["half"]:
        return "en 30 minutos"
    if match["quarter"]:
        return "en 15 minutos"
    if match["odd"]:
        return "en 90 minutos"
    if match["while"]:
        return "en un rato"
    count = 1 if match["count"] in ("a", "an") else number(match["count"])
    if match["unit"].startswith("m"):
        return f"en {count} minuto{'s' if count != 1 else ''}"
    if match["more"]:
        return f"en {count * 60 + 30} minutos"
    return f"en {count} hora{'s' if count != 1 else ''}"


def _day(match: re.Match[str]) -> str | None:
    if match["after"]:
        return "pasado mañana"
    if match["tomorrow"]:
        return "mañana"
    if match["today"] or match["this"] or match["tonight"]:
        return "hoy"
    if match["weekday"]:
        return f"el {_WEEKDAYS[match['weekday']]}"
    date = (number(match["date"]), match["month"])
    return None if date in _NAMED_AFTER_DATES or not 1 <= date[0] <= 31 else f"el {date[0]} de {date[1]}"


def _part_of_day(match: re.Match[str]) -> str | None:
    return "noche" if match["tonight"] else match["this"]
