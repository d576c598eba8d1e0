"""What a ride costs, as far as the dated tariff table says.

The table (`data/fares.json`) keeps a date and a source beside every amount. An amount that nobody published is ``null``
there and is said to be unknown here: an estimate with an open end has ``high_cop=None``, never a guess.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

_MONTHS = (
    "enero", "febrero", "marzo", "abril", "mayo", "junio",
    "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre",
)  # fmt: skip

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
    lines: tuple[tuple[str, int], ...]
    """What ``low_cop`` is the sum of."""
    explanation: str
    """For riders, in Spanish."""
    source: str
    date: str
    """When the oldest of the amounts used was published: an estimate is as old as its oldest part."""
    approximate: bool


def pesos(amount: int) -> str:
    """Write an amount as Colombians do: ``$8.000``."""
    return f"${amount:,}".replace(",", ".")


def day_in_words(date: str) -> str:
    """Write ``2025-10-22`` as «octubre de 2025», and leave a bare year as it is."""
    year, _, rest = date.partition("-")
    month = rest[:2]
    return f"{_MONTHS[int(month) - 1]} de {year}" if month.isdigit() and 1 <= int(month) <= 12 else year


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
    tariff: Tariff, *, hour: int | None, holiday: bool, airport: bool, terminal: bool, distance_km: float | None
) -> Estimate:
    """Estimate what a ride costs.

    Args:
        tariff: The table in force.
        hour: Hour of the day at pick-up, 0 to 23; None when unknown.
        holiday: Whether the day is a Sunday or a public holiday.
        airport: Whether the ride starts or ends at the airport.
        terminal: Whether it starts or ends at the bus terminal.
        distance_km: Length of the ride; None when unknown.
    """
    hour = hour if hour is not None and 0 <= hour < 24 else None
    distance = distance_km if distance_km is not None and 0 <= distance_km < _FARTHEST_KM else None
    lines: list[tuple[str, int]] = []
    used: list[Amount] = []
    unknown: list[str] = []

    def add(label: str, amount: Amount, cop: int | None) -> None:
        if cop is None:
            unknown.append(label.lower())
        else:
            lines.append((label, cop))
            used.append(amount)

    add("Carrera mínima", tariff.minimum, tariff.minimum.cop)
    reach = tariff.reach.km
    far = distance is None or reach is None or distance > reach
    if far and distance is not None and reach is not None and tariff.per_km.cop is not None:
        add("Kilómetros adicionales", tariff.per_km, round((distance - reach) * tariff.per_km.cop))
        far = False

    surcharge = tariff.night_or_holiday
    certain = holiday or (hour is not None and tariff.night_certain.holds(hour))
    possible = not certain and (hour is None or tariff.night_possible.holds(hour))
    if certain:
        add("Recargo nocturno o festivo", surcharge, surcharge.cop)
    if airport:
        add("Recargo de aeropuerto", tariff.airport, tariff.airport.cop)
    if terminal:
        add("Recargo de terminal", tariff.terminal, tariff.terminal.cop)

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
        explanation=_explain(tariff, lines, low, high, far, possible, unknown, approximate),
        source="; ".join(dict.fromkeys(amount.source for amount in used if amount.source)),
        date=dates[0] if dates else "",
        approximate=approximate,
    )


def _explain(
    tariff: Tariff,
    lines: list[tuple[str, int]],
    low: int,
    high: int | None,
    far: bool,
    possible: bool,
    unknown: list[str],
    approximate: bool,
) -> str:
    """Say an estimate to a rider: amounts, how old they are, what nobody knows, and who has the last word."""
    amounts = dict(lines)
    minimum = amounts.pop("Carrera mínima", None)
    sentences: list[str] = []
    if minimum is None:
        sentences.append("No tengo el valor vigente de la carrera mínima.")
    else:
        since = f" (dato de {day_in_words(tariff.minimum.date)})" if tariff.minimum.date else ""
        sentences.append(f"La carrera mínima está en {pesos(minimum)}{since}.")
    if amounts:
        extras = _listed([f"{label[0].lower()}{label[1:]} de {pesos(cop)}" for label, cop in amounts.items()])
        dated = tariff.night_or_holiday.date or tariff.airport.date
        surcharges = any(label.startswith("Recargo") for label in amounts)
        since = f" (recargos publicados en {day_in_words(dated)})" if surcharges and dated else ""
        total = f", {'desde ' if high is None else ''}{pesos(low)} en total" if minimum is not None else ""
        sentences.append(f"{'Se suma' if len(amounts) == 1 else 'Se suman'} {extras}{since}{total}.")
    if possible and tariff.night_or_holiday.cop is not None:
        extra = pesos(tariff.night_or_holiday.cop)
        sentences.append(f"De noche, domingos y festivos puede haber un recargo de {extra}.")
    if far and minimum is not None:
        reach = f"{tariff.reach.km:g}".replace(".", ",") if tariff.reach.km is not None else None
        covers = f" cubre unos {reach} km" if reach else " cubre un trayecto corto"
        sentences.append(f"La mínima{covers}; no tengo publicado el valor por kilómetro adicional.")
    if unknown and minimum is not None:
        sentences.append(f"No tengo el valor de: {_listed(unknown)}.")
    guess = "Es un valor aproximado: confírmelo" if approximate else "Confírmelo"
    sentences.append(f"{guess} con el conductor o en la tarjeta de tarifas antes de subir.")
    return " ".join(sentences)


def _listed(parts: list[str]) -> str:
    """Join «a», «b», «c» as «a, b y c»."""
    return " y ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)
