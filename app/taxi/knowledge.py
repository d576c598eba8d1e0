"""What the offline explainer knows, and how a question finds its topic. Pure but for loading the file."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml  # type: ignore[import-untyped]
from rapidfuzz import fuzz, process

from app.models.explanations import StepType
from app.taxi.phrases import Language
from app.taxi.text import compose, fold

_STRONG, _WEAK = 3, 1
ENOUGH = 3
"""What a topic's words must count together."""

_LEAST_ALIKE = 86.0
_FUZZY_LETTERS = 6
"""A shorter word is too soon another one."""
_READ_WORDS = 80
_WORD = re.compile(r"[a-z0-9']+")
_BLANK = re.compile(r"\[\[(\w+)\]\]")

Bilingual = Mapping[Language, str]


@dataclass(frozen=True, slots=True)
class KnownStep:
    """A step of an answer, with blanks."""

    title: Bilingual
    type: StepType
    content: Bilingual
    drawing: str | None


@dataclass(frozen=True, slots=True)
class Topic:
    """Something that riders ask about."""

    name: str
    steps: tuple[KnownStep, ...]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All topics, and the words that lead to them."""

    topics: tuple[Topic, ...]
    words: Mapping[str, Mapping[str, int]]
    """Each word, or words, with what it counts for which topic."""
    unknown: KnownStep
    features: tuple[Bilingual, ...]
    centroids: Mapping[str, tuple[float, float]]

    def topic(self, name: str) -> Topic:
        """Return the topic of that name."""
        return next(topic for topic in self.topics if topic.name == name)

    def find(self, question: str) -> Topic | None:
        """Return the topic that a question is about; None where its words are about none."""
        words = _WORD.findall(fold(compose(question)))[:_READ_WORDS]
        text = f" {' '.join(words)} "
        found = {phrase for phrase in self.words if f" {phrase} " in text}
        single = [phrase for phrase in self.words if " " not in phrase and len(phrase) >= _FUZZY_LETTERS]
        for word in set(words):
            if word in self.words or len(word) < _FUZZY_LETTERS:
                continue
            alike = process.extractOne(word, single, scorer=fuzz.ratio, score_cutoff=_LEAST_ALIKE)
            if alike is not None:
                found.add(alike[0])
        scores: dict[str, int] = defaultdict(int)
        for phrase in found:
            for name, weight in self.words[phrase].items():
                scores[name] += weight
        best = max(self.topics, key=lambda topic: scores[topic.name])  # the first of equals
        return best if scores[best.name] >= ENOUGH else None


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return ``text`` with its ``[[blanks]]`` filled in.

    Raises:
        KeyError: There is no such value.
    """
    filled = _BLANK.sub(lambda match: values[match[1]], text)
    return "\n".join(line.rstrip() for line in filled.splitlines()).strip()


@cache
def load_knowledge() -> Knowledge:
    """Read the knowledge that ships with the package."""
    document = yaml.safe_load(
        resources.files("app.taxi").joinpath("data", "knowledge.yaml").read_text(encoding="utf-8")
    )
    words: dict[str, dict[str, int]] = defaultdict(dict)
    for topic in document["topics"]:
        for weight, key in ((_WEAK, "weak"), (_STRONG, "strong")):
            for phrase in _phrases(topic[key]):
                words[phrase][topic["name"]] = weight
    return Knowledge(
        topics=tuple(Topic(topic["name"], tuple(map(_step, topic["steps"]))) for topic in document["topics"]),
        words=words,
        unknown=_step(document["unknown"]),
        features=tuple(document["features"]),
        centroids={name: (place[0], place[1]) for name, place in document["municipalities"]["centroids"].items()},
    )


def _phrases(table: str) -> Iterable[str]:
    return (" ".join(phrase.split()) for phrase in table.split("|"))


def _step(entry: dict[str, Any]) -> KnownStep:
    return KnownStep(entry["title"], entry.get("type", "text"), entry["content"], entry.get("drawing"))
