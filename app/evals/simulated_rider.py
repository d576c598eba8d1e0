"""A rider who answers what was last asked. Pure: the same seed and the same answers give the same words."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from app.evals.questions import last_question, topic_of
from app.evals.scenario import ExpectedBooking, Interjection, Line, Rider, Topic
from app.evals.words import mentions, plain, shows_address


@dataclass(frozen=True, slots=True)
class Utterance:
    """What the rider says next."""

    text: str
    consents: bool = False
    """A yes to a summary that was right: what a taxi may be sent on."""
    leaves: bool = False


_DEFAULTS: dict[str, dict[Topic, tuple[str, ...]]] = {
    "typed": {
        "confirm": ("Sí", "sí, confirmo", "si", "Confirmo", "dale", "Sí señora", "Listo, mándalo", "correcto"),
        "taxi": ("Sí, necesito un taxi", "si por favor, un taxi", "Sí"),
        "specials": ("No", "no, gracias", "nada más", "No, así está bien", "ninguna"),
        "neighborhood": ("no sé el barrio",),
        "city": ("Barranquilla",),
        "payment": ("En efectivo", "efectivo", "pago en efectivo"),
        "corner": ("Es la esquina", "sí, es la esquina"),
        "person": ("no, gracias",),
        "destination": ("Le digo al conductor",),
        "name": ("Prefiero no decirlo",),
        "passengers": ("Solo yo",),
        "when": ("Ahora mismo",),
        "phone": ("No tengo a la mano",),
    },
    "spoken": {
        "confirm": ("si", "si confirmo", "claro que si", "si señora", "si correcto", "dale pues", "listo si"),
        "taxi": ("si un taxi por favor", "si señor", "aja un taxi"),
        "specials": ("no", "no nada mas", "no señora", "no asi esta bien", "no gracias"),
        "neighborhood": ("no se el barrio",),
        "city": ("en barranquilla",),
        "payment": ("en efectivo", "efectivo"),
        "corner": ("es la esquina",),
        "person": ("no gracias",),
        "destination": ("yo le digo al conductor",),
        "name": ("no hace falta",),
        "passengers": ("voy solo yo",),
        "when": ("ahora mismo",),
        "phone": ("no tengo a la mano",),
    },
    "english": {
        "confirm": ("Yes", "yes, please", "Yes, that's correct", "confirm"),
        "taxi": ("Yes, I need a taxi", "yes please"),
        "specials": ("No, thanks", "no", "nothing else"),
        "neighborhood": ("I don't know the neighborhood",),
        "city": ("Barranquilla",),
        "payment": ("cash", "I will pay cash"),
        "corner": ("It's the corner",),
        "person": ("no thanks",),
        "destination": ("I'll tell the driver",),
        "name": ("I'd rather not say",),
        "passengers": ("Just me",),
        "when": ("Right now",),
        "phone": ("I have no phone here",),
    },
}
_CORRECTIONS: dict[str, dict[str, str]] = {
    "typed": {
        "address": "No, la dirección es {value}",
        "neighborhood": "No, el barrio es {value}",
        "payment": "No, pago con {value}",
    },
    "spoken": {
        "address": "no la direccion es {value}",
        "neighborhood": "no el barrio es {value}",
        "payment": "no pago con {value}",
    },
    "english": {
        "address": "No, the address is {value}",
        "neighborhood": "No, the neighborhood is {value}",
        "payment": "No, I pay with {value}",
    },
}
_PAYMENT_WORDS: dict[str, tuple[str, ...]] = {
    "efectivo": ("efectivo", "cash"),
    "nequi": ("nequi",),
    "daviplata": ("daviplata",),
    "tarjeta": ("tarjeta", "datafono", "card"),
}
_REFUSAL = {"typed": "No, gracias", "spoken": "no gracias", "english": "No, thanks"}
"""What somebody who wants no taxi says to a summary."""
_MOST_CORRECTIONS = 3
"""Corrections of one summary after another before the rider hangs up."""


class SimulatedRider:
    """One rider in one conversation.

    Args:
        rider: Facts and manner.
        wanted: The booking that the rider has in mind; None wants none and consents to none.
        seed: Chooses the words where the scenario gives none.
    """

    def __init__(self, rider: Rider, wanted: ExpectedBooking | None, seed: str) -> None:
        self._rider = rider
        self._wanted = wanted
        self._random = random.Random(seed)  # noqa: S311 - variety, not a secret
        self._opening = list(rider.opening)
        self._afterwards = list(rider.afterwards)
        self._interjections = list(rider.interjections)
        self._times_asked: dict[Topic, int] = {}
        self._corrections = 0
        self._last_topic: Topic | None = None
        self._turn = 0
        self._is_booked = False

    @property
    def is_booked(self) -> bool:
        """Whether the rider was told that the taxi is on its way."""
        return self._is_booked

    def booked(self) -> None:
        """Tell the rider that the taxi was sent."""
        self._is_booked = True

    def next(self, heard: str) -> Utterance | None:
        """Return what the rider says to what was heard; None hangs up."""
        self._turn += 1
        if self._turn > self._rider.patience:
            return None
        if self._opening:
            return _said(self._opening.pop(0))
        if self._is_booked:
            return _said(self._afterwards.pop(0)) if self._afterwards else None
        topic = topic_of(heard) or self._last_topic
        if interjection := self._interjection(topic):
            return Utterance(interjection.say, leaves=interjection.leaves)
        if topic is None:
            return _said(self._rider.opening[-1])
        self._last_topic = topic
        return self._answer(topic, heard)

    def _interjection(self, topic: Topic | None) -> Interjection | None:
        for each in self._interjections:
            if each.turn == self._turn or (each.at is not None and each.at == topic):
                self._interjections.remove(each)
                if topic is not None:
                    self._last_topic = topic
                return each
        return None

    def _answer(self, topic: Topic, heard: str) -> Utterance | None:
        if topic == "confirm" and self._wanted is not None:
            return self._answer_summary(self._wanted, heard)
        if topic == "check_address" and self._wanted is not None:
            if shows_address(heard, self._wanted.address):
                return Utterance(self._words("confirm"))
            topic = "address"
        if topic == "corner" and topic not in self._rider.answers and self._wanted and "#" in self._wanted.address:
            topic = "address"  # it is no corner
        if topic == "check_neighborhood" and self._wanted is not None and self._wanted.neighborhood:
            if mentions(last_question(heard) or "", self._wanted.neighborhood):
                return Utterance(self._words("confirm"))
            topic = "neighborhood"
        if topic == "which_address" and topic not in self._rider.answers and self._wanted is not None:
            return Utterance(self._wanted.address)
        if topic == "change" and self._wanted is not None and topic not in self._rider.answers:
            return self._correct(self._wanted, heard)
        line = self._line(topic)
        if line is None and topic == "confirm":
            return Utterance(_REFUSAL[self._rider.style], leaves=True)
        return _said(line) if line is not None else Utterance(self._words(topic))

    def _line(self, topic: Topic) -> Line | None:
        """Return the scenario's own words on a topic: the next ones each time that it is asked."""
        lines = self._rider.answers.get(topic, ())
        count = self._times_asked.get(topic, 0)
        self._times_asked[topic] = count + 1
        return lines[min(count, len(lines) - 1)] if lines else None

    def _words(self, topic: Topic) -> str:
        choices: Sequence[str] = _DEFAULTS[self._rider.style].get(topic, ())
        if self._wanted and (known := self._known(topic, self._wanted)):
            return known
        if choices:
            return self._random.choice(choices)
        return self._wanted.address if topic in ("address", "which_address") and self._wanted else "no"

    def _known(self, topic: Topic, wanted: ExpectedBooking) -> str | None:
        """Return what the rider knows of a topic without the scenario's own words for it."""
        if topic == "payment" and wanted.payment_method == "efectivo":
            return None
        known = {"neighborhood": wanted.neighborhood, "city": wanted.city, "payment": wanted.payment_method}
        return known.get(topic)

    def _answer_summary(self, wanted: ExpectedBooking, heard: str) -> Utterance | None:
        """Say yes to what is right; to a question about the address alone this is no consent to a taxi."""
        if wrong := misread(wanted, heard):
            pays = any(word in plain(heard) for words in _PAYMENT_WORDS.values() for word in words)
            if wrong == ["payment"] and not pays:
                return Utterance(self._words("confirm"))
            return self._correct(wanted, heard)
        line = self._line("confirm")
        return Utterance(line.say if line else self._words("confirm"), consents=True)

    def _correct(self, wanted: ExpectedBooking, heard: str) -> Utterance | None:
        self._corrections += 1
        if self._corrections > _MOST_CORRECTIONS:
            return None
        wrong = (misread(wanted, heard) or ["address"])[0]
        values = {
            "address": wanted.address,
            "neighborhood": wanted.neighborhood or "",
            "payment": wanted.payment_method,
        }
        return Utterance(_CORRECTIONS[self._rider.style][wrong].format(value=values[wrong]))


def misread(wanted: ExpectedBooking, summary: str) -> list[str]:
    """Return what a summary has wrong, or lacks, of what the rider wants."""
    wrong = []
    if not shows_address(summary, wanted.address):
        wrong.append("address")
    elif wanted.neighborhood and not mentions(summary, wanted.neighborhood):
        wrong.append("neighborhood")
    if not any(word in plain(summary) for word in _PAYMENT_WORDS[wanted.payment_method]):
        wrong.append("payment")
    return wrong


def _said(line: Line) -> Utterance:
    return Utterance(line.say, leaves=line.leaves)
