"""The offline explainer: answers riders' questions about the service out of what is known of it, without a model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from app.models.booking import PaymentMethod
from app.models.canvas import Drawing
from app.models.explanations import CanvasInstruction, Explanation, Step
from app.taxi import sketches
from app.taxi.fares import Amount, Estimate, HourSpan, Part, Tariff, day_in_words, estimate_fare
from app.taxi.knowledge import KnownStep, fill, load_knowledge
from app.taxi.moments import Moment
from app.taxi.phrases import Language, payment_name, phrase
from app.taxi.places import Address, Gazetteer, parse_address
from app.taxi.reading.language import language as language_of

_READ_PER_SECOND = 15.0
"""Characters; what somebody reads who looks at a drawing besides."""
_READ_CHARACTERS = 400
"""Of a question; a flood of text is not looked at further."""
_EXAMPLE = "Calle 72 #43-25"
_MIDNIGHT = 23


class ServiceExplainer:
    """Explains the service. What it does not know it says so."""

    name = "offline"

    def __init__(
        self, *, tariff: Tariff, gazetteer: Gazetteer, coverage: Sequence[str], support_phone: str | None
    ) -> None:
        """Set up.

        Args:
            tariff: The fares; every amount is read from it when it is asked for.
            gazetteer: The known places.
            coverage: Municipalities where riders are picked up.
            support_phone: Where a person answers.
        """
        self._tariff = tariff
        self._gazetteer = gazetteer
        self._coverage = tuple(coverage)
        self._support_phone = support_phone
        self._knowledge = load_knowledge()

    async def explain(self, question: str, context: Mapping[str, Any]) -> Explanation:
        """Return an explanation; see ``Explainer``. Nothing is waited for, and nothing fails."""
        language = _language(question, context)
        question = question[:_READ_CHARACTERS]
        answer = _Answer(self._tariff, self._gazetteer, self._coverage, self._support_phone, question, language)
        told = tuple(answer.step(step) for step in self._steps(question))
        return Explanation(
            steps=told, total_duration=max(5.0, round(sum(len(step.content) for step in told) / _READ_PER_SECOND))
        )

    def _steps(self, question: str) -> tuple[KnownStep, ...]:
        topic = self._knowledge.find(question)
        if topic is not None:
            return topic.steps
        return (self._knowledge.unknown, *self._knowledge.topic("help").steps)


def _language(question: str, context: Mapping[str, Any]) -> Language:
    asked = context.get("language")
    if not isinstance(asked, str) or not asked:
        return language_of(question)
    return "en" if asked.lower().startswith("en") else "es"


class _Answer:
    """What the blanks of an answer are filled with, and what it draws."""

    def __init__(
        self,
        tariff: Tariff,
        gazetteer: Gazetteer,
        coverage: tuple[str, ...],
        support_phone: str | None,
        question: str,
        language: Language,
    ) -> None:
        self._tariff = tariff
        self._gazetteer = gazetteer
        self._coverage = coverage
        self._support_phone = support_phone
        self._question = question
        self._language = language
        self._address = _address_of(question, gazetteer)
        self._at_night = estimate_fare(
            tariff, moment=Moment(_MIDNIGHT, "workday"), airport=False, terminal=False, distance_km=None
        )
        self._to_airport = estimate_fare(
            tariff, moment=Moment(_MIDNIGHT, "workday"), airport=True, terminal=False, distance_km=None
        )
        self._values = self._blanks()

    def step(self, known: KnownStep) -> Step:
        content = fill(known.content[self._language], self._values)
        return Step(
            title=known.title[self._language],
            type=known.type,
            content=content,
            canvas_commands=_spread(self._drawings()[known.drawing]() if known.drawing else (), len(content)),
        )

    def _say(self, spanish: str, english: str) -> str:
        return english if self._language == "en" else spanish

    # Words.

    def _blanks(self) -> dict[str, str]:
        tariff, gazetteer = self._tariff, self._gazetteer
        zones = dict.fromkeys(barrio.zone for barrio in gazetteer.all_neighborhoods if barrio.zone)
        written, street, cross, plate = self._address
        return {
            "authority": tariff.authority,
            **self._amount("minimum", tariff.minimum),
            **self._amount("night", tariff.night_or_holiday),
            **self._amount("airport", tariff.airport),
            **self._amount("terminal", tariff.terminal),
            "reach": self._reach(),
            "reach_since": self._since(tariff.reach.date),
            "reach_source": tariff.reach.source or self._say("sin publicar", "not published"),
            "per_km": self._per_km(),
            "night_certain": self._hours(tariff.night_certain),
            "night_possible": self._hours(tariff.night_possible),
            "airport_lines": self._lines(self._to_airport),
            "airport_formula": self._formula(self._to_airport),
            "night_lines": self._lines(self._at_night),
            "night_formula": self._formula(self._at_night),
            "coverage": self._listed(self._coverage),
            "not_covered": self._not_covered(),
            "place": self._place(),
            "neighborhoods": self._neighborhoods(),
            "zones": self._listed(tuple(zones)),
            "payments": self._listed(self._payments()),
            "payments_or": self._listed(self._payments(), last=self._say(" o ", " or ")),
            "features": "\n".join(f"- {feature[self._language]}" for feature in load_knowledge().features),
            "support": self._support(),
            "address": written,
            "street": street,
            "cross": cross,
            "plate": str(plate),
        }

    def _listed(self, names: Sequence[str], *, last: str | None = None) -> str:
        joined = last or self._say(" y ", " and ")
        return joined.join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)

    def _number(self, amount: int) -> str:
        return f"{amount:,}" if self._language == "en" else f"{amount:,}".replace(",", ".")

    def _pesos(self, amount: int) -> str:
        # In words: a dollar sign begins a formula.
        return f"{self._number(amount)} pesos"

    def _since(self, date: str | None) -> str:
        if date is None:
            return self._say("sin fecha", "no date")
        return self._say("dato de ", "as of ") + day_in_words(date, self._language)

    def _amount(self, name: str, amount: Amount) -> dict[str, str]:
        unpublished = self._say("un valor que nadie ha publicado", "an amount that nobody has published")
        return {
            name: unpublished if amount.cop is None else self._pesos(amount.cop),
            f"{name}_since": self._since(amount.date),
            f"{name}_source": amount.source or self._say("ninguna", "none"),
        }

    def _reach(self) -> str:
        km = self._tariff.reach.km
        if km is None:
            return self._say("un trayecto que nadie ha publicado", "a distance that nobody has published")
        written = f"{km:g}" if self._language == "en" else f"{km:g}".replace(".", ",")
        return self._say(f"unos {written} km", f"about {written} km")

    def _per_km(self) -> str:
        per_km = self._tariff.per_km
        if per_km.cop is None:
            return self._say(
                "El valor de cada kilómetro adicional **no está publicado**.",
                "What each further kilometre costs is **not published**.",
            )
        return self._say(
            f"Cada kilómetro adicional vale {self._pesos(per_km.cop)} ({self._since(per_km.date)}).",
            f"Each further kilometre costs {self._pesos(per_km.cop)} ({self._since(per_km.date)}).",
        )

    def _hours(self, span: HourSpan) -> str:
        return f"{span.start}:00{self._say(' a ', ' to ')}{span.until}:00"

    def _lines(self, estimate: Estimate) -> str:
        lines = [f"- {self._part(part)}: **{self._pesos(cop)}**" for part, cop in estimate.lines]
        unpublished = self._say("valor sin publicar", "amount not published")
        return "\n".join([*lines, *(f"- {self._part(part)}: {unpublished}" for part in estimate.unknown)])

    def _formula(self, estimate: Estimate) -> str:
        """Write the sum of what is published; it is no total where something is not."""
        if not estimate.lines:
            return self._say("No hay valores publicados que sumar.", "There are no published amounts to add up.")
        amounts = [self._in_formula(cop) for _, cop in estimate.lines]
        relation = "=" if estimate.high_cop == estimate.low_cop else r"\geq"
        total = " + ".join(amounts)
        if len(amounts) > 1:
            total += f" = {self._in_formula(estimate.low_cop)}"
        return f"$$T {relation} {total}$$"

    def _in_formula(self, amount: int) -> str:
        return self._number(amount).replace(",", "{,}")

    def _part(self, part: Part) -> str:
        return _PARTS[part][self._language == "en"]

    def _not_covered(self) -> str:
        left = [city for city in self._gazetteer.cities if city not in self._coverage]
        if not left:
            return ""
        names = self._listed(left)
        return self._say(f"En {names} no recogemos.", f"We do not pick up in {names}.")

    def _place(self) -> str:
        """Say of a place in the question whether it is covered."""
        far = self._gazetteer.elsewhere(self._question)
        matches = self._gazetteer.neighborhoods(self._question)
        city = self._gazetteer.city(self._question)
        if matches and (len({match.neighborhood.city for match in matches}) == 1 or city is not None):
            barrio = next((match.neighborhood for match in matches if match.neighborhood.city == city), None)
            barrio = barrio or matches[0].neighborhood
            return self._covers(f"{barrio.name} ({barrio.city})", barrio.city in self._coverage)
        if city is not None:
            return self._covers(city, city in self._coverage)
        return self._covers(far, False) if far is not None else ""

    def _covers(self, name: str, is_covered: bool) -> str:
        if is_covered:
            return self._say(f"En **{name}** sí recogemos.", f"In **{name}** we do pick up.")
        return self._say(f"En **{name}** no recogemos.", f"In **{name}** we do not pick up.")

    def _neighborhoods(self) -> str:
        barrios = self._gazetteer.all_neighborhoods
        counted = [(city, sum(barrio.city == city for barrio in barrios)) for city in self._coverage]
        listed = "\n".join(f"- {city}: {count}" for city, count in counted if count)
        lead = self._say("Los que conozco por su nombre:", "The ones that I know by name:")
        return f"{lead}\n\n{listed}\n"

    def _payments(self) -> list[str]:
        return [payment_name(method, self._language) for method in get_args(PaymentMethod)]

    def _support(self) -> str:
        if self._support_phone is not None:
            return phrase("human", self._language, phone=self._support_phone)
        return self._say(
            "En este momento no tengo un teléfono de atención que darte.",
            "I have no support phone number to give you right now.",
        )

    # Drawings.

    def _drawings(self) -> dict[str, Callable[[], list[Drawing]]]:
        say = self._say
        start, goal = say("Recogida", "Pick-up"), say("Destino", "Destination")
        reach = self._reach()
        return {
            "fare": lambda: self._bars(self._to_airport),
            "airport_fare": lambda: self._bars(self._to_airport),
            "night_fare": lambda: self._bars(self._at_night),
            "fare_route": lambda: sketches.route(
                [start, say(f"Mínima: {reach}", f"Minimum: {reach}"), f"{goal}: {say('sin total', 'no total')}"]
            ),
            "airport_route": lambda: sketches.route(
                [start, say(f"Mínima: {reach}", f"Minimum: {reach}"), "Ernesto Cortissoz"]
            ),
            "night": lambda: sketches.day_bar(
                self._tariff.night_certain,
                self._tariff.night_possible,
                (
                    say("noche: hay recargo", "night: surcharge"),
                    say("puede haber recargo", "there may be a surcharge"),
                    say("sin recargo nocturno", "no night surcharge"),
                ),
            ),
            "address": self._grid,
            "coverage": lambda: sketches.coverage_map(
                load_knowledge().centroids, self._coverage, say("aquí recogemos", "we pick up here")
            ),
            "payment": lambda: sketches.cards([name[0].upper() + name[1:] for name in self._payments()]),
            "booking": lambda: sketches.route(
                [say("Dirección", "Address"), say("Pago", "Payment"), say("Resumen y sí", "Summary and yes"), "Taxi"]
            ),
            "ride": lambda: sketches.route(
                [
                    say("Aceptado", "Accepted"),
                    say("Asignado", "Assigned"),
                    say("En la recogida", "At the pick-up"),
                    say("Terminado", "Completed"),
                ]
            ),
            "lost": lambda: sketches.route(
                [say("Número de servicio", "Ride number"), say("Placa", "Plate"), say("Una persona", "A person")]
            ),
        }

    def _bars(self, estimate: Estimate) -> list[Drawing]:
        total = self._say("desde", "from") if estimate.high_cop != estimate.low_cop else "total"
        parts = [(self._part(part), cop, self._number(cop)) for part, cop in estimate.lines]
        return sketches.fare_bars(parts, (total, self._number(estimate.low_cop)))

    def _grid(self) -> list[Drawing]:
        _, street, cross, plate = self._address
        labels = (self._say("esquina", "corner"), f"{plate} m")
        return sketches.address_grid(street, cross, plate, labels)


_PARTS: dict[Part, tuple[str, str]] = {
    "minimum": ("carrera mínima", "minimum fare"),
    "distance": ("kilómetros", "kilometres"),
    "night": ("noche o festivo", "night or holiday"),
    "sunday": ("domingo", "Sunday"),
    "holiday": ("festivo", "public holiday"),
    "airport": ("aeropuerto", "airport"),
    "terminal": ("terminal", "bus terminal"),
}


def _address_of(question: str, gazetteer: Gazetteer) -> tuple[str, str, str, int]:
    """Return the address in a question, or an example: as it is written, street, cross street, metres."""
    for text in (question, _EXAMPLE):
        reading = parse_address(text, gazetteer)
        parsed: Address | None = reading.parsed
        if reading.address and parsed is not None and parsed.cross is not None and (parsed.plate or "").isdecimal():
            return reading.address, str(parsed.street), str(parsed.cross), int(parsed.plate or 0)
    raise AssertionError("the example is an address")


def _spread(drawings: Sequence[Drawing], length: int) -> tuple[CanvasInstruction, ...]:
    """Let a drawing grow while its step is read: its commands lie evenly between the characters."""
    return tuple(
        CanvasInstruction.model_validate(
            {**drawing.model_dump(exclude_defaults=True), "op": drawing.op, "at": length * index // len(drawings)}
        )
        for index, drawing in enumerate(drawings)
    )
