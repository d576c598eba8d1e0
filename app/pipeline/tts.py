"""The last stage: words for the rider become sound beside them."""

from collections.abc import Callable
from dataclasses import dataclass

from app.engines.tts.base import TtsEngine


@dataclass(frozen=True, slots=True)
class Speech:
    """How answers are spoken."""

    engine: TtsEngine
    aloud: Callable[[str], str]
    """Makes of a sentence as it is read the words as they are said."""
