"""What makes two questions the same question. Pure."""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from app.core.errors import BadInput, TextTooLong

MAX_CONTEXT_CHARACTERS = 16_000
"""Of a context, as JSON."""

_MAX_DEPTH = 16
_RULES = "1"
"""Hashed too: other rules have other hashes, and find none of the answers that these found."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_ACCENTED_VOWEL = re.compile(r"([aeiou])[\u0300-\u036f]+")
_OPENING = re.compile(r"[¿¡]")
_BEFORE = re.compile(r"^[\s.,;:…?!\"«“]+")
_ENDING = ' .,;:…?"»”'
_HAS_FACTORIAL = re.compile(r"(?:[\d)\]]|(?:^|\W)[a-z])$")
_SPACES = re.compile(r"\s+")
_RAISED = {"<super>": "^", "<sub>": "_", "<fraction>": " "}


@dataclass(frozen=True, slots=True)
class Question:
    """A question that may be answered."""

    text: str
    """As it was asked, without the space around it."""
    normalised: str
    """What it has in common with the same question written otherwise."""
    context: Mapping[str, Any]
    question_hash: str
    """SHA-256 of ``normalised`` and ``context``, in hexadecimal: the name of the answer."""


def read_question(text: object, context: object = None, *, max_characters: int) -> Question:
    """Read a question and its context.

    Args:
        text: What was asked.
        context: An object of JSON, or None. The same question with another context is another question.
        max_characters: Longest question, in code points.

    Raises:
        TextTooLong: The question or its context is too long.
        BadInput: ``empty_question``: it says nothing; ``invalid_question``: it is no text;
            ``invalid_context``: the context is no object of JSON.
    """
    if not isinstance(text, str) or not _is_unicode(text):
        raise BadInput("La pregunta tiene que ser un texto.", code="invalid_question")
    if len(text) > max_characters:
        raise TextTooLong(f"La pregunta tiene más de {max_characters} caracteres.")
    asked = _CONTROL.sub(" ", text).strip()
    normalised = normalise(asked)
    if not normalised:
        raise BadInput("Escribe una pregunta.", code="empty_question")
    canonical = _canonical(context)
    return Question(
        text=asked,
        normalised=normalised,
        context=json.loads(canonical),
        question_hash=sha256("\0".join((_RULES, normalised, canonical)).encode()).hexdigest(),
    )


def normalise(text: str) -> str:
    """Return what a question has in common with the same question written otherwise.

    Case, spaces, compatible forms (NFKC), accents of vowels, ``¿`` and ``¡``, and punctuation at both ends say
    nothing: «¿Cuánto cuesta?» is «cuanto cuesta». The tilde of «ñ» does: «año» is not «ano». So does what is raised:
    «x²» is not «x2».
    """
    shown = "".join(_RAISED.get(unicodedata.decomposition(char).partition(" ")[0], "") + char for char in text)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", shown).casefold())
    visible = "".join(char for char in folded if unicodedata.category(char) != "Cf")
    unaccented = _ACCENTED_VOWEL.sub(r"\1", unicodedata.normalize("NFD", visible))
    bare = _BEFORE.sub("", _OPENING.sub("", unicodedata.normalize("NFC", unaccented)))
    return _trimmed(_SPACES.sub(" ", bare))


def _trimmed(text: str) -> str:
    """Return ``text`` without the punctuation behind it, but for the «!» of «5!» and «n!», which is a factorial."""
    bare = text.rstrip(_ENDING + "!")
    behind = text[len(bare) :]
    return bare + "!" if behind.startswith("!") and _HAS_FACTORIAL.search(bare[-2:]) else bare


def _is_unicode(text: str) -> bool:
    """Say whether a text can be stored and sent; half a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _canonical(context: object) -> str:
    """Return a context as the one JSON text that says it.

    Raises:
        BadInput: It is no object of JSON.
        TextTooLong: It is too long.
    """
    if context is None:
        return "{}"
    if not isinstance(context, Mapping):
        raise BadInput("El contexto tiene que ser un objeto.", code="invalid_context")
    try:
        plain = _plain(context, _MAX_DEPTH)
        text = json.dumps(plain, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise BadInput("El contexto no es JSON, o está anidado de más.", code="invalid_context") from error
    if not _is_unicode(text):
        raise BadInput("El contexto no es JSON.", code="invalid_context")
    if len(text) > MAX_CONTEXT_CHARACTERS:
        raise TextTooLong(f"El contexto tiene más de {MAX_CONTEXT_CHARACTERS} caracteres.")
    return text


def _plain(value: object, depth: int) -> object:
    """Return a value with its texts composed and its whole numbers whole, as one client or another may write them."""
    if depth < 0:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {_key(key): _plain(inner, depth - 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, depth - 1) for inner in value]
    return value


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError("a key is no text")
    return unicodedata.normalize("NFC", key)
