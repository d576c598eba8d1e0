"""What a ride costs, as far as the dated tariff table says.

The table (`data/fares.json`) keeps a date and a source beside every amount. An amount that nobody published is ``null``
there and is said to be unknown here: an estimate with an open end has ``high_cop=None``, never a guess.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

from app.taxi.moments import Moment
from app.taxi.phrases import Language

_MONTHS = (
    "enero", "febrero", "marzo", "abril", "mayo", "junio",
    "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre",
)  # fmt: skip

_MONTHS_IN_ENGLISH = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
Part = Literal["minimum", "distance", "night", "sunday", "holiday", "airport", "terminal"]
"""What a fare is the sum of."""

_FARTHEST_KM = 500.0
"""A distance beyond this is a mistake upstream and counts as unknown."""


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of pesos with where and when it was published; ``cop`` is None where nobody published one."""

    cop: int | None
    date: str | None
    source: str | None
    status: str
    """``found`` in a public source, ``unverified`` or ``unknown``."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the minimum fare goes, with where and when that was published."""

    km: float | None
    date: str | None
    source: str | None
    status: str


@dataclass(frozen=True, slots=True)
class HourSpan:
    """Hours from one to another, over midnight."""

    start: int
    until: int

    def holds(self, hour: int) -> bool:
        """Say whether an hour of the day lies in the span; its end does not."""
        return hour >= self.start or hour < self.until


@dataclass(frozen=True, slots=True)
class Tariff:
    """The tariff table in force."""

    city: str
    authority: str
    minimum: Amount
    reach: Reach
    per_km: Amount
    night_or_holiday: Amount
    airport: Amount
    terminal: Amount
    night_certain: HourSpan
    """Hours that are night under any tariff."""
    night_possible: HourSpan
    """Hours that may be night: the official limits are not published."""
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a ride may cost, and how sure that is."""

    low_cop: int
    high_cop: int | None
    """None when the upper end is unknown."""
    lines: tuple[tuple[Part, int], ...]
    """What ``low_cop`` is the sum of."""
    possible_surcharge_cop: int | None
    """What the ride costs more if it is at night, on a Sunday or on a holiday, where that is not known."""
    is_far: bool
    """The ride goes, or may go, farther than the minimum, at a price that nobody published."""
    unknown: tuple[Part, ...]
    """What belongs to the fare and has no published amount."""
    source: str
    date: str
    """When the oldest of the amounts used was published: an estimate is as old as its oldest part."""
    approximate: bool


def pesos(amount: int) -> str:
    """Write an amount as Colombians do: ``$8.000``."""
    return f"${amount:,}".replace(",", ".")


def day_in_words(date: str, language: Language = "es") -> str:
    """Write ``2025-10-22`` as «octubre de 2025», and leave a bare year as it is."""
    year, _, rest = date.partition("-")
    month = rest[:2]
    if not month.isdigit() or not 1 <= int(month) <= 12:
        return year
    return (
        f"{_MONTHS_IN_ENGLISH[int(month) - 1]} {year}" if language == "en" else f"{_MONTHS[int(month) - 1]} de {year}"
    )


@cache
def load_tariff() -> Tariff:
    """Read the tariff table that ships with the package."""
    return parse_tariff(resources.files("app.taxi").joinpath("data", "fares.json").read_text(encoding="utf-8"))


def parse_tariff(document: str) -> Tariff:
    """Read a tariff table from its JSON text."""
    table = json.loads(document)
    values, night = table["in_force"], table["night"]
    reach = values["minimum_km"]

    def amount(name: str) -> Amount:
        entry = values[name]
        return Amount(cop=entry["cop"], date=entry["date"], source=entry["source"], status=entry["status"])

    return Tariff(
        city=table["city"],
        authority=table["authority"],
        minimum=amount("minimum"),
        reach=Reach(reach["km"], reach["date"], reach["source"], reach["status"]),
        per_km=amount("per_km"),
        night_or_holiday=amount("night_or_holiday"),
        airport=amount("airport"),
        terminal=amount("terminal"),
        night_certain=HourSpan(night["certain"]["from"], night["certain"]["until"]),
        night_possible=HourSpan(night["possible"]["from"], night["possible"]["until"]),
        notes=tuple(table["notes"]),
    )


def estimate_fare(
    tariff: Tariff, *, moment: Moment, airport: bool, terminal: bool, distance_km: float | None
) -> Estimate:
    """Estimate what a ride costs.

    Args:
        tariff: The table in force.
        moment: When the ride starts, by the clock and the calendar of the place.
        airport: Whether the ride starts or ends at the airport.
        terminal: Whether it starts or ends at the bus terminal.
        distance_km: Length of the ride; None when unknown.
    """
    hour = moment.hour if moment.hour is not None and 0 <= moment.hour < 24 else None
    distance = distance_km if distance_km is not None and 0 <= distance_km < _FARTHEST_KM else None
    lines: list[tuple[Part, int]] = []
    used: list[Amount] = []
    unknown: list[Part] = []

    def add(part: Part, amount: Amount, cop: int | None) -> None:
        if cop is None:
            unknown.append(part)
        else:
            lines.append((part, cop))
            used.append(amount)

    add("minimum", tariff.minimum, tariff.minimum.cop)
    reach = tariff.reach.km
    far = distance is None or reach is None or distance > reach
    if far and distance is not None and reach is not None and tariff.per_km.cop is not None:
        add("distance", tariff.per_km, round((distance - reach) * tariff.per_km.cop))
        far = False

    surcharge = tariff.night_or_holiday
    is_night = hour is not None and tariff.night_certain.holds(hour)
    certain: Part | None = "night" if is_night else moment.day if moment.day in ("sunday", "holiday") else None
    possible = certain is None and (hour is None or moment.day is None or tariff.night_possible.holds(hour))
    if certain is not None:
        add(certain, surcharge, surcharge.cop)
    if airport:
        add("airport", tariff.airport, tariff.airport.cop)
    if terminal:
        add("terminal", tariff.terminal, tariff.terminal.cop)

    low = sum(cop for _, cop in lines)
    high: int | None = None if far or unknown else low
    if possible:
        high = None if high is None or surcharge.cop is None else high + surcharge.cop
    dates = sorted({amount.date for amount in used if amount.date})
    approximate = high != low or {*dates, tariff.reach.date} != {tariff.minimum.date}
    return Estimate(
        low_cop=low,
        high_cop=high,
        lines=tuple(lines),
        possible_surcharge_cop=surcharge.cop if possible else None,
        is_far=far,
        unknown=tuple(unknown),
        source="; ".join(dict.fromkeys(amount.source for amount in used if amount.source)),
        date=dates[0] if dates else "",
        approximate=approximate,
    )


def explain(tariff: Tariff, estimate: Estimate, language: Language = "es") -> str:
    """Say an estimate to a rider: amounts, how old they are, what nobody knows, and who has the last word."""
    say = _ENGLISH if language == "en" else _SPANISH
    names, joined = (_PARTS_IN_ENGLISH, " and ") if language == "en" else (_PARTS_IN_SPANISH, " y ")
    amounts = dict(estimate.lines)
    minimum = amounts.pop("minimum", None)
    sentences: list[str] = []
    if minimum is None:
        sentences.append(say["no_minimum"])
    else:
        since = say["since"].format(day=day_in_words(tariff.minimum.date, language)) if tariff.minimum.date else ""
        sentences.append(say["minimum"].format(amount=pesos(minimum), since=since))
    if amounts:
        extras = _listed(
            [say["part"].format(part=names[part], amount=pesos(cop)) for part, cop in amounts.items()], joined
        )
        dated = tariff.night_or_holiday.date or tariff.airport.date
        published = (
            say["published"].format(day=day_in_words(dated, language))
            if amounts.keys() - {"distance"} and dated
            else ""
        )
        total = ""
        if minimum is not None:
            total = say["from_total" if estimate.high_cop is None else "total"].format(amount=pesos(estimate.low_cop))
        sentences.append(say["extras"].format(extras=extras, since=published, total=total))
    if estimate.possible_surcharge_cop is not None:
        sentences.append(say["possible"].format(amount=pesos(estimate.possible_surcharge_cop)))
    if estimate.is_far and minimum is not None:
        reach = f"{tariff.reach.km:g}" if tariff.reach.km is not None else None
        if reach is not None and language == "es":
            reach = reach.replace(".", ",")
        sentences.append(say["reach"].format(km=reach) if reach else say["no_reach"])
    if estimate.unknown and minimum is not None:
        sentences.append(say["unknown"].format(parts=_listed([names[part] for part in estimate.unknown], joined)))
    sentences.append(say["approximate" if estimate.approximate else "check"])
    return " ".join(sentences)


_PARTS_IN_SPANISH: dict[Part, str] = {
    "minimum": "carrera mínima",
    "distance": "kilómetros adicionales",
    "night": "recargo nocturno",
    "sunday": "recargo dominical",
    "holiday": "recargo festivo",
    "airport": "recargo de aeropuerto",
    "terminal": "recargo de terminal",
}
_PARTS_IN_ENGLISH: dict[Part, str] = {
    "minimum": "minimum fare",
    "distance": "additional kilometres",
    "night": "night surcharge",
    "sunday": "Sunday surcharge",
    "holiday": "public holiday surcharge",
    "airport": "airport surcharge",
    "terminal": "bus terminal surcharge",
}
_SPANISH = {
    "no_minimum": "No tengo el valor vigente de la carrera mínima.",
    "minimum": "La carrera mínima está en {amount}{since}.",
    "since": " (dato de {day})",
    "part": "{part} de {amount}",
    "extras": "Incluye además {extras}{since}{total}.",
    "published": " (publicado en {day})",
    "total": ": {amount} en total",
    "from_total": ": desde {amount} en total",
    "possible": "De noche, domingos y festivos puede haber un recargo de {amount}.",
    "reach": "La mínima cubre unos {km} km; no tengo publicado el valor por kilómetro adicional.",
    "no_reach": "La mínima cubre un trayecto corto; no tengo publicado el valor por kilómetro adicional.",
    "unknown": "No tengo el valor de: {parts}.",
    "approximate": "Es un valor aproximado: confírmelo con el conductor o en la tarjeta de tarifas antes de subir.",
    "check": "Confírmelo con el conductor o en la tarjeta de tarifas antes de subir.",
}
_ENGLISH = {
    "no_minimum": "I don't have the current minimum fare.",
    "minimum": "The minimum fare is {amount} pesos{since}.",
    "since": " (as of {day})",
    "part": "the {part} of {amount}",
    "extras": "It also includes {extras}{since}{total}.",
    "published": " (published in {day})",
    "total": ": {amount} in total",
    "from_total": ": from {amount} in total",
    "possible": "At night, on Sundays and on public holidays there may be a surcharge of {amount}.",
    "reach": "The minimum covers about {km} km; the price of each further kilometre is not published.",
    "no_reach": "The minimum covers a short ride; the price of each further kilometre is not published.",
    "unknown": "I don't have the amount of: {parts}.",
    "approximate": "This is an approximate figure: check it with the driver or on the fare card before you get in.",
    "check": "Check it with the driver or on the fare card before you get in.",
}


def _listed(parts: list[str], joined: str) -> str:
    """Join «a», «b», «c» as «a, b y c»."""
    return joined.join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)
