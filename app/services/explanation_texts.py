"""What is said about an explanation, to people."""

from collections.abc import Mapping
from typing import Any

_TEXTS = {
    "es": {
        "working": "Estoy preparando la explicación…",
        "next": "Tu pregunta es la siguiente…",
        "one": "Hay una pregunta antes de la tuya…",
        "many": "Hay {before} preguntas antes de la tuya…",
        "paused": "Explicación en pausa.",
    },
    "en": {
        "working": "Preparing the explanation…",
        "next": "Your question is next…",
        "one": "There is one question before yours…",
        "many": "There are {before} questions before yours…",
        "paused": "Explanation paused.",
    },
}

_FEW = ("working", "next", "one")


def language_of(context: Mapping[str, Any]) -> str:
    """Return the language that a context asks for: ``en`` where it says so, else ``es``."""
    language = context.get("language")
    return "en" if isinstance(language, str) and language.lower().startswith("en") else "es"


def waiting_text(place: int, language: str) -> str:
    """Return what somebody is told who waits; ``place`` is 1 for who is next, 0 where their answer is being made."""
    texts = _TEXTS[language]
    if place < len(_FEW):
        return texts[_FEW[place]]
    return texts["many"].format(before=place - 1)


def paused_text(language: str) -> str:
    """Return what somebody is told whose explanation is paused."""
    return _TEXTS[language]["paused"]
