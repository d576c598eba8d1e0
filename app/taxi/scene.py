"""One moment of a conversation, as the offline rules look at it. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from app.taxi.draft import Draft
from app.taxi.phrases import Language, phrase
from app.taxi.places import Gazetteer, Reading, parse_address
from app.taxi.prompts import STATE_CLOSE, STATE_OPEN
from app.taxi.reading import Intent, Slots, intents, is_yes, language, read_slots, without_destination
from app.taxi.summary import summarise
from app.taxi.text import fold, word_set

Answer = tuple[str, list[tuple[str, dict[str, Any]]], dict[str, Any]]
"""Words, tool calls, notes."""

_LONGEST_GREETING = 3
"""Words of a greeting that says nothing else."""
_CLOSE_TO = re.compile(
    r"\b(?:cer[cq]\w+|lado|frente|detras|atras|diagonal|junto|pasando|antes|despues|near|close|behind|next)\b"
    r"(?: (?:de|del|a|al|la|el|los|las|to|the))*\W*$"
)
_CORNER = re.compile(
    r"\W*(?:(?:si|claro|correcto|exacto)\W+)*(?:es )?(?:(?:en|la|una|justo|ahi|misma) )*esquina"
    r"(?: (?:exacta|si|misma))*\W*"
)
_NOISE = re.compile(r"\W*(?:(?:e+h*|m+|h+m+|a+h+|o+h+|u+h+|este|pues|\w*ruido|silencio|musica|inaudible)\W*)*")
"""What is left of silence, of hesitation and of what a recogniser makes of noise."""
_SPANISH_WORDS = word_set("quiero necesito por favor con para en pago gracias hola si voy tengo es esta mi que")


@dataclass(frozen=True, slots=True)
class _Understood:
    """What a sentence says by itself."""

    wants: frozenset[Intent]
    slots: Slots
    pickup_words: str
    reading: Reading


@lru_cache(maxsize=64)
def _understand(heard: str, gazetteer: Gazetteer) -> _Understood:
    """Read a sentence; once a turn, however many agents look at it."""
    pickup_words = without_destination(heard)
    return _Understood(intents(heard), read_slots(heard), pickup_words, parse_address(pickup_words, gazetteer))


class Scene:
    """One moment of a conversation, as the rules look at it."""

    def __init__(self, messages: Sequence[BaseMessage], gazetteer: Gazetteer) -> None:
        self.gazetteer = gazetteer
        self.facts = _facts(messages)
        self.draft = Draft.model_validate(self.facts.get("draft") or {})
        self.missing: list[str] = self.facts.get("missing") or []
        self.booking: Mapping[str, Any] | None = self.facts.get("booking")
        last = max((i for i, each in enumerate(messages) if isinstance(each, HumanMessage)), default=-1)
        self.heard = str(messages[last].text) if last >= 0 else ""
        self.done: list[tuple[str, Any]] = [
            (each.name or "", _result(each)) for each in messages[last + 1 :] if isinstance(each, ToolMessage)
        ]
        before = next((each for each in reversed(messages[: max(last, 0)]) if isinstance(each, AIMessage)), None)
        self.is_first_turn = before is None
        self.said_before = str(before.text) if before else ""
        notes = before.additional_kwargs if before else {}
        self.asked: str | None = notes.get("asked")
        self.misses: int = notes.get("misses", 0)
        self.offered: str | None = notes.get("offered")
        """The one address, or the one neighbourhood, that was asked about."""
        understood = _understand(self.heard, gazetteer)
        self.wants, self.slots = understood.wants, understood.slots
        self.pickup_words, self.reading = understood.pickup_words, understood.reading
        self.language = self._language(notes.get("language"))

    def outcome(self, tool: str) -> Any:
        """Return the newest result of a tool in this turn, or None."""
        return next((result for name, result in reversed(self.done) if name == tool), None)

    def came_by(self, tool: str) -> bool:
        """Return whether ``tool`` was used in this turn."""
        return any(name == tool for name, _ in self.done)

    @property
    def gives_address(self) -> bool:
        """Whether the rider names a place of pick-up."""
        return self.reading.status in ("address", "corner", "place", "ambiguous")

    @property
    def gives_new_address(self) -> bool:
        """Whether the rider names another place of pick-up than the one known."""
        known = self.draft.pickup
        if not self.gives_address or self.came_by("ValidateAddress"):
            return False
        return known is None or self.reading.address != known.address

    @property
    def accepts_offer(self) -> bool:
        """Whether the rider says that what was asked about is right: «sí», «es la esquina»."""
        if self.offered is None or self.done or self.gives_address:
            return False
        return is_yes(self.heard) or _CORNER.fullmatch(fold(self.heard)) is not None

    @property
    def corrects_neighborhood(self) -> bool:
        """Whether the rider puts another neighbourhood in place of the one known: «no, el barrio es Colombia»."""
        known, named = self.draft.pickup, self.reading.neighborhood
        if named is None and self.reading.candidates:
            named = self.reading.candidates[0].name  # of which town is asked next
        if known is None or named is None or named == known.neighborhood or self.came_by("ValidateAddress"):
            return False
        return Intent.CORRECTION in self.wants or "barrio" in fold(self.heard)

    @property
    def adds_detail(self) -> bool:
        """Whether the rider says more about the known address: «torre 3, apartamento 804»."""
        known, detail = self.draft.pickup, self.reading.detail
        if known is None or detail is None or detail == known.detail or self.came_by("ValidateAddress"):
            return False
        return self.reading.status == "not_an_address" and any(letter.isdecimal() for letter in detail)

    @property
    def names_landmark(self) -> bool:
        """Whether a place is only what the pick-up is close to: «cerca de Buenavista»."""
        if self.reading.status != "place" or Intent.CORRECTION in self.wants:
            return False
        start = min(start for start, _ in self.reading.spans)
        return _CLOSE_TO.search(fold(self.pickup_words[:start])) is not None

    @property
    def says_nothing(self) -> bool:
        """Whether there is nothing in the words: a noise, a greeting, «mmm»."""
        greets = Intent.GREETING in self.wants and len(self.heard.split()) <= _LONGEST_GREETING
        return greets or _NOISE.fullmatch(fold(self.heard)) is not None

    @property
    def gives_details(self) -> bool:
        """Whether the rider says anything of what OPERADOR looks after."""
        return self.slots != Slots() and self.slots != Slots(destination=self.slots.destination)

    def say(self, name: str, *, asked: str | None = None, misses: int = 0, **parts: str) -> Answer:
        """Speak a phrase."""
        return self.speak(phrase(name, self.language, **parts), asked=asked, misses=misses)

    def speak(self, text: str, *, asked: str | None = None, misses: int = 0, offered: str | None = None) -> Answer:
        """Speak, and greet back who greets."""
        hello = phrase("hello", self.language)
        if self.is_first_turn and Intent.GREETING in self.wants and not text.startswith(hello):
            text = f"{hello} {text}"
        notes = {"asked": asked, "misses": misses, "language": self.language}
        return text, [], notes if offered is None else {**notes, "offered": offered}

    def call(self, tool: str, **args: Any) -> Answer:
        """Use a tool, silently."""
        return "", [(tool, {name: value for name, value in args.items() if value is not None})], {}

    @property
    def pickup_phrase(self) -> str:
        """The part of the rider's words that names the place of pick-up."""
        if not self.reading.spans:
            return self.pickup_words.strip()
        start = min(start for start, _ in self.reading.spans)
        end = max(end for _, end in self.reading.spans)
        return self.pickup_words[start:end]

    @property
    def summary(self) -> str:
        """The booking in words."""
        return summarise(self.draft, self.language)

    def _language(self, before: str | None) -> Language:
        """Return the rider's language. Someone who began in English stays there until a Spanish word."""
        tag = str(self.facts.get("language") or "").lower()
        if tag.startswith("en") or language(self.heard) == "en":
            return "en"
        is_still_english = before == "en" and not _SPANISH_WORDS & set(fold(self.heard).split())
        return "en" if is_still_english else "es"


# Reading what a model is given.


def _facts(messages: Sequence[BaseMessage]) -> dict[str, Any]:
    system = next((str(each.text) for each in messages if isinstance(each, SystemMessage)), "")
    start, end = system.rfind(STATE_OPEN), system.rfind(STATE_CLOSE)
    if start < 0 or end < start:
        return {}
    facts: dict[str, Any] = json.loads(system[start + len(STATE_OPEN) : end])
    return facts


def _result(message: ToolMessage) -> Any:
    text = str(message.text)
    try:
        return json.loads(text)
    except ValueError:
        return text
