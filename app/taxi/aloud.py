"""How an answer is read aloud: numbers, addresses, prices and plates as people say them. Pure.

Each rule takes what it knows out of the text and leaves words; what no rule knows is a number, or a digit.
Needs the ``voice`` extra: only what speaks imports it.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from num2words import num2words  # type: ignore[import-untyped]

_LETTERS = dict(
    zip(
        "abcdefghijklmnñopqrstuvwxyz",
        "a be ce de e efe ge hache i jota ka ele eme ene eñe o pe cu erre ese te u ve doble_ve equis ye zeta".split(),  # noqa: SIM905
        strict=True,
    )
)
_DIGITS = ("cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve")
_MONTHS = (
    "enero", "febrero", "marzo", "abril", "mayo", "junio",
    "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre",
)  # fmt: skip
_ORDINALS = ("primer", "segund", "tercer", "cuart", "quint", "sext", "séptim", "octav", "noven", "décim")

_ROADS = {
    "calle": "calle|cll|clle|cl",
    "carrera": "carrera|cra|kra|kr|cr|krr|carr",
    "diagonal": "diagonal|diag|dg",
    "transversal": "transversal|transv|trans|tv|tr",
    "avenida": "avenida|avda|avd|av",
    "kilómetro": "kilómetro|kilometro|km",
    "manzana": "manzana|mz|mza",
    "lote": "lote|lt",
    "casa": "casa|cs",
    "apartamento": "apartamento|apto|apt|ap",
    "bloque": "bloque|blq|bl",
    "torre": "torre|tr",
    "interior": "interior|int",
    "oficina": "oficina|of|ofc",
    "edificio": "edificio|edif|ed",
    "piso": "piso",
    "local": "local|loc",
}
"""What stands before a number of an address, and how else it is written."""
_SHORT = {
    "cra": "carrera", "kra": "carrera", "cll": "calle", "clle": "calle", "avda": "avenida", "dr": "doctor",
    "dra": "doctora", "sr": "señor", "sra": "señora", "srta": "señorita", "ud": "usted", "uds": "ustedes",
    "tel": "teléfono", "cel": "celular", "etc": "etcétera", "aprox": "aproximadamente", "edif": "edificio",
    "apto": "apartamento", "urb": "urbanización", "conj": "conjunto", "esq": "esquina", "gral": "general",
    "ing": "ingeniero", "núm": "número", "nro": "número", "av": "avenida", "kr": "carrera", "ed": "edificio",
}  # fmt: skip
"""Words that are always short for another, with a full stop after them."""
_UNITS: dict[str, tuple[str, str, bool]] = {
    "min": ("minuto", "minutos", False), "mins": ("minuto", "minutos", False), "minutos": ("minuto", "minutos", False),
    "minuto": ("minuto", "minutos", False), "h": ("hora", "horas", True), "hr": ("hora", "horas", True),
    "hrs": ("hora", "horas", True), "hora": ("hora", "horas", True), "horas": ("hora", "horas", True),
    "seg": ("segundo", "segundos", False), "segs": ("segundo", "segundos", False), "s": ("segundo", "segundos", False),
    "km": ("kilómetro", "kilómetros", False), "kms": ("kilómetro", "kilómetros", False),
    "km/h": ("kilómetro por hora", "kilómetros por hora", False), "m": ("metro", "metros", False),
    "mt": ("metro", "metros", False), "mts": ("metro", "metros", False), "cm": ("centímetro", "centímetros", False),
    "kg": ("kilo", "kilos", False), "kgs": ("kilo", "kilos", False), "g": ("gramo", "gramos", False),
    "l": ("litro", "litros", False), "lt": ("litro", "litros", False), "gb": ("giga", "gigas", False),
    "°c": ("grado", "grados", False), "°": ("grado", "grados", False),
    "cop": ("peso", "pesos", False), "pesos": ("peso", "pesos", False), "usd": ("dólar", "dólares", False),
    "%": ("por ciento", "por ciento", False), "por ciento": ("por ciento", "por ciento", False),
}  # fmt: skip
"""One, many, and whether it is feminine."""
_FEMININE = (
    "personas?|maletas?|cuadras?|casas?|paradas?|ve(?:z|ces)|sillas?|mascotas?|calles|carreras?|bolsas?"
    "|mañana|noche|tarde"
)
_MASCULINE = (
    "taxis?|carros?|pasajeros?|metros?|kilómetros?|segundos?|días?|mes(?:es)?|años?|servicios?|pisos?|niños?|perros?"
    "|gatos?|bultos?|puestos?|baúl(?:es)?|adultos?|mil|millón|millones|viajes?|conductor(?:es)?|bebés?"
)

_WHOLE = r"\d{1,3}(?:\.\d{3})+(?!\d)|\d{1,3}(?:,\d{3})+(?!\d)|\d+"
_NUMBER = rf"(?:{_WHOLE})(?:[.,]\d{{1,2}}(?!\d))?"
_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_HOUSE = (
    r"\d{1,4}(?:[A-Za-z](?![^\W\d_]|[°º])\d?|\s(?-i:[A-DF])(?![\w°º]))?(?:\s?bis\b)?(?:\s?(?:sur|norte|este|oeste)\b)?"
)
_SIGN = r"(?:#|№|\b(?:N\s?[°º]|No\.?|Nro\.?|N[úu]m\.?|n[úu]mero))"

_EMAIL = re.compile(r"\b([\w.+-]+)@([\w-]+(?:\.[\w-]+)+)")
_ADDRESS_OF_PAGE = re.compile(r"(?:https?://|www\.)\S*[\w/]", re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\s]*\)")
_LINE_MARKS = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+(?!\d)|>+[ \t]*|[-+•][ \t]+)", re.MULTILINE)
_SPACES = re.compile(r"\s+")
_HALF = r"(?P<half>[ap]\.?\s?m\b\.?)"

_Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def aloud(text: str) -> str:
    """Return the words of a text as people in Barranquilla say them: no digit, emoji or Markdown is left."""
    for _ in range(_MOST_ROUNDS):
        before, text = text, _once(text)
        if text == before:
            break
    return text


_MOST_ROUNDS = 6
"""What a rule leaves may be what another one takes. It settles at once, but for text that nobody would write."""


def _once(text: str) -> str:
    text = _clean(text)
    for pattern, say in _RULES:
        text = pattern.sub(say, text)
    text = "".join(f" {_DIGITS[unicodedata.digit(letter)]} " if letter.isdigit() else letter for letter in text)
    return _tidy(text)


def _clean(text: str) -> str:
    """Take out what is not read: Markdown, emoji, what cannot be seen."""
    text = "".join(str(unicodedata.decimal(letter)) if letter.isdecimal() else letter for letter in text)
    text = text.replace("½", " y medio").replace("²", " cuadrados").replace("–", "-").replace("—", ", ")
    text = _LINK.sub(r"\1", text)
    text = _EMAIL.sub(lambda found: found[0].replace("@", " arroba ").replace(".", " punto "), text)
    text = _ADDRESS_OF_PAGE.sub("el enlace", text)
    text = _LINE_MARKS.sub("", text)
    text = re.sub(r"[*`~|_^\\{}<>\[\]=]+", " ", text)
    return "".join(_seen(letter) for letter in text)


def _seen(letter: str) -> str:
    if letter.isascii() or letter in "°№" or letter.isdigit():
        return letter if letter.isprintable() else " "
    kind = unicodedata.category(letter)
    if kind in ("Cf", "Mn", "Me", "Cs", "Co", "Cn", "Cc"):
        return "" if kind != "Mn" or "VARIATION" in unicodedata.name(letter, "") else letter
    return "" if kind in ("So", "Sk") else letter


def _tidy(text: str) -> str:
    text = re.sub(r"#", " ", text)
    text = _SPACES.sub(" ", text)
    text = re.sub(r"\s+([,.;:!?…)])", r"\1", text)
    text = re.sub(r",(?:\s*,)+", ",", text)
    text = re.sub(r",([.;:!?…])", r"\1", text)
    return text.strip().lstrip(",").strip()


@lru_cache(maxsize=4096)
def _say(number: int) -> str:
    """Return a number in words; one without end, digit by digit."""
    if number >= 10**12:
        return " ".join(_DIGITS[int(digit)] for digit in str(number))
    said = str(num2words(number, lang="es"))
    return re.sub(r"\buno (?=mil|millones)", "un ", said).replace("veintiuno mil", "veintiún mil")


def _masculine(said: str) -> str:
    """Return a number as it stands before what it counts."""
    if said.endswith("veintiuno"):
        return said[: -len("veintiuno")] + "veintiún"
    return said[:-1] if said == "uno" or said.endswith(" uno") else said


def _feminine(said: str) -> str:
    said = re.sub(
        r"\b(doscient|trescient|cuatrocient|quinient|seiscient|setecient|ochocient|novecient)os", r"\1as", said
    )
    return said[:-1] + "a" if said.endswith("uno") else said


def _read(written: str, form: Callable[[str], str] = str) -> str:
    """Return a number as it is written in words."""
    match = re.fullmatch(rf"({_WHOLE})(?:[.,](\d+))?", written)
    if match is None:
        return " ".join(_digits(part) for part in re.findall(r"\d+", written))
    whole = re.sub(r"[.,]", "", match[1])
    said = _digits(whole) if len(whole) > 1 and whole.startswith("0") else _say(int(whole))
    if match[2] is None:
        return form(said)
    rest = match[2]
    return f"{said} coma {_digits(rest) if rest.startswith('0') else _say(int(rest))}"


def _digits(digits: str) -> str:
    return " ".join(_DIGITS[int(digit)] for digit in digits)


def _spell(text: str) -> str:
    """Return letters and digits one by one."""
    names = (_DIGITS[int(each)] if each.isdecimal() else _LETTERS.get(each.lower(), "") for each in text)
    return " ".join(name.replace("_", " ") for name in names if name)


def _in_groups(digits: str) -> str:
    """Return a long number as telephone numbers are told."""
    sizes = {10: (3, 3, 2, 2), 7: (3, 2, 2), 8: (2, 2, 2, 2), 12: (2, 3, 3, 2, 2)}.get(len(digits))
    if sizes is None:
        sizes = (*[3] * (len(digits) // 3), *([len(digits) % 3] if len(digits) % 3 else []))
    groups, start = [], 0
    for size in sizes:
        groups.append(digits[start : start + size])
        start += size
    return ", ".join(_digits(group) if group.startswith("0") or "00" in group else _say(int(group)) for group in groups)


def _code(found: re.Match[str]) -> str:
    """Return enough of an id to know it by: the whole of it stands on the screen."""
    return _spell(found[0][:4])


def _phone(found: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", found[0])
    if found[0].startswith("+"):
        country, digits = digits[:2], digits[2:]
        return f" más {_say(int(country))}, {_in_groups(digits)} "
    return f" {_in_groups(digits)} "


def _time(found: re.Match[str]) -> str:
    hour, minute = int(found["hour"]), int(found["minute"] or 0)
    half = found["half"]
    if hour > 24 or minute > 59:
        return f"{_say(hour)} {_say(minute)}"
    is_late = (half or "").lower().startswith("p")
    if half is None and (hour > 12 or hour == 0):
        is_late, half = 12 <= hour < 24, "h"
    hour %= 12
    said = "una" if hour == 1 else _say(hour or 12)
    if minute:
        said += " y " + {15: "cuarto", 30: "media"}.get(minute, _masculine(_say(minute)) if minute != 1 else "uno")
    if half is not None:
        if hour == 0:
            said += " del día" if is_late else " de la noche"
        elif is_late:
            said += " de la tarde" if hour < 7 else " de la noche"
        else:
            said += " de la mañana"
    is_last = found.end() == len(found.string) and (found["half"] or "").endswith(".")
    return f"{said}{'.' if is_last else ''} "


def _plate(found: re.Match[str]) -> str:
    return f"{_spell(found[1])}, {_spell(found[2])}"


def _money(found: re.Match[str]) -> str:
    amount, more = found["amount"], (found["more"] or "").lower().strip()
    currency = "dólares" if found["us"] else "pesos"
    said = _read(amount, _masculine)
    if more in ("mil", "millón", "millon", "millones"):
        said = f"{'' if said == 'un' and more == 'mil' else said} {more}".strip()
    if said.endswith(("millón", "millones")):
        return f"{said} de {currency} "
    return (
        f"{said} {currency[:-2] if currency == 'dólares' and said == 'un' else 'peso' if said == 'un' else currency} "
    )


def _date(found: re.Match[str]) -> str:
    day, month = int(found["day"]), int(found["month"])
    if not (1 <= month <= len(_MONTHS) and 1 <= day <= 31):
        return " ".join(_say(int(part)) for part in re.findall(r"\d+", found[0]))
    return f"{_day(day)} de {_MONTHS[month - 1]} de {_say(int(found['year']))}"


def _day(day: int) -> str:
    return "primero" if day == 1 else _say(day)


def _day_of_month(found: re.Match[str]) -> str:
    year = f" de {_say(int(found[3]))}" if found[3] else ""
    return f"{_day(int(found[1]))} de {found[2]}{year}"


def _road(found: re.Match[str]) -> str:
    name = next(name for name, forms in _ROADS.items() if found["road"].lower() in forms.split("|"))
    said = f"{name} {_house(found['number'])}"
    if found["second"]:
        said += f", número {_house(found['second'])}"
    if found["third"]:
        said += f", {_house(found['third'])}"
    return f"{said} "


def _numbered(found: re.Match[str]) -> str:
    third = f", {_house(found[2])}" if found[2] else ""
    return f" número {_house(found[1])}{third} "


def _pair(found: re.Match[str]) -> str:
    return f"{_house(found[1])}, {_house(found[2])}"


def _house(written: str) -> str:
    """Return a number of an address: «51B» is «cincuenta y uno be»."""
    said = []
    for part in re.findall(r"\d+|[A-Za-z]+", written):
        if part.isdecimal():
            said.append(_read(part))
        else:
            said.append(part.lower() if len(part) > 1 else _spell(part))
    return " ".join(said)


def _range(found: re.Match[str]) -> str:
    _, many, is_feminine = _UNITS[found[3].lower()]
    form = _feminine if is_feminine else _masculine
    return f"{_read(found[1], form)} a {_read(found[2], form)} {many} "


def _unit(found: re.Match[str]) -> str:
    one, many, is_feminine = _UNITS[found[2].lower()]
    said = _read(found[1], _feminine if is_feminine else str if found[2] in ("%", "por ciento") else _masculine)
    if many == "pesos" and said.endswith(("millón", "millones")):
        many = "de pesos"
    return f"{said} {one if found[1] == '1' else many} "


def _ordinal(found: re.Match[str]) -> str:
    number, ending = int(found[1]), found[2].lower()
    if not 1 <= number <= len(_ORDINALS):
        return f"{_say(number)} "
    stem = _ORDINALS[number - 1]
    if ending == "er":
        return stem if number in (1, 3) else f"{stem}o"
    return f"{stem}{'a' if ending in ('ª', 'a', 'ra', 'da', 'ta', 'va', 'ma', 'na') else 'o'}"


def _compile(pattern: str, say: Callable[[re.Match[str]], str], flags: int = re.IGNORECASE) -> _Rule:
    return re.compile(pattern, flags), say


_ROAD_NAMES = "|".join(sorted((form for forms in _ROADS.values() for form in forms.split("|")), key=len, reverse=True))

_RULES: tuple[_Rule, ...] = (
    _compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", _code),
    _compile(r"\b(?=[A-F]*\d)(?=\d*[A-F])[0-9A-F]{8}\b", _code, 0),
    _compile(r"(?<=servicio )[0-9]{8}\b|(?<=servicio es )[0-9]{8}\b", _code),
    _compile(
        r"\b(?P<day>\d{1,2})[/-](?P<month>\d{1,2})[/-](?P<year>\d{4})\b",
        _date,
    ),
    _compile(rf"\b(\d{{1,2}})º? de ({'|'.join(_MONTHS)})(?: (?:de|del) (\d{{4}}))?\b", _day_of_month),
    _compile(rf"\b(?P<hour>\d{{1,2}})(?:[:.h](?P<minute>\d{{2}}))?\s?{_HALF}", _time),
    _compile(r"\b(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::\d{2})?\b(?P<half>(?!))?\s?(?:hrs?\b|h\b)?", _time),
    _compile(
        rf"(?:\b(?P<us>US|USD)\s?)?(?:\bCOP\s?)?\$\s?(?P<amount>{_NUMBER})"
        r"(?P<more>\s(?:mil|millones|mill[oó]n)\b)?(?:\s(?:de\s)?(?:pesos|cop|m/?cte)\b)?",
        _money,
    ),
    _compile(
        r"(?:(?<=línea )|(?<=marca )|(?<=al )|(?<=el ))(?:1\d{2})\b(?!\s?(?:%|de\b))", lambda found: _digits(found[0])
    ),
    _compile(
        r"(?<![\w.,])(?:\+\d{2}[\s-]?)?(?:\(?\d{3}\)?[\s.-]?\d{3}[\s.-]?\d{2}[\s.-]?\d{2}|\d{3}[\s-]\d{2}[\s-]?\d{2})(?![\w-])",
        _phone,
    ),
    _compile(r"\b([A-Z]{3})[\s-]?(\d{3}|\d{2}[A-Z])\b", _plate, 0),
    _compile(r"(?<=placa )([a-z]{3})[\s-]?(\d{3}|\d{2}[a-z])\b", _plate),
    _compile(
        rf"\b(?P<road>{_ROAD_NAMES})\b\.?\s*(?P<number>{_HOUSE})(?![\d:])"
        rf"(?:\s*,?\s*(?:{_SIGN}\s*|\s)(?P<second>{_HOUSE})(?:\s*-\s*|\s+(?=\d))(?P<third>{_HOUSE})(?![\d:]))?",
        _road,
    ),
    _compile(rf"\s*,?\s*{_SIGN}\s*({_HOUSE})(?:\s*-\s*({_HOUSE}))?(?!\d)", _numbered),
    _compile(rf"\b({_NUMBER})\s?(?:-|a)\s?({_NUMBER})\s?({_UNIT})(?!\w)", _range),
    _compile(rf"\b({_NUMBER})\s?({_UNIT})(?!\w)", _unit),
    _compile(rf"\b({_NUMBER})(?=\s(?:{_FEMININE})\b)", lambda found: _read(found[1], _feminine)),
    _compile(rf"\b({_NUMBER})(?=\s(?:{_MASCULINE})\b)", lambda found: _read(found[1], _masculine)),
    _compile(r"\b(\d{1,2})\.?(º|ª|er|ra|ro|do|da|ta|to|mo|ma|vo|va|no|na)(?!\w)", _ordinal),
    _compile(rf"\b({_HOUSE})\s*-\s*({_HOUSE})\b", _pair),
    _compile(r"\b24/7\b", lambda _: "veinticuatro siete"),
    _compile(r"\b\d{7,}\b", lambda found: _in_groups(found[0])),
    _compile(r"\b([A-Z]{1,3})-?(\d+)\b", lambda found: f"{_spell(found[1])} {_read(found[2])}", 0),
    _compile(r"\b(\d{1,3})([A-Z])\b", lambda found: f"{_read(found[1])} {_spell(found[2])}", 0),
    _compile(_NUMBER, lambda found: f" {_read(found[0])} "),
    _compile(rf"\b({'|'.join(_SHORT)})\.(?=\s|$|,)", lambda found: _SHORT[found[1].lower()]),
    _compile(r"[#№]", lambda _: " "),
    _compile(r"\s*&\s*", lambda _: " y "),
    _compile(r"\s*\+\s*", lambda _: " más "),
    _compile(r"[/$%@]", lambda _: " "),
)
"""In order: what is more particular comes first."""
