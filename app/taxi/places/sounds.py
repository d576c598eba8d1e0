"""How words sound, so that two spellings of one sound can be compared."""

import re
from typing import Final

_SOUNDS: Final = (
    (re.compile(r"qu(?=[ei])"), "k"),
    (re.compile(r"c(?=[ei])|z|x"), "s"),
    (re.compile(r"ch"), "1"),
    (re.compile(r"[cq]"), "k"),
    (re.compile(r"ll"), "y"),
    (re.compile(r"v"), "b"),
    (re.compile(r"g(?=[ei])"), "j"),
    (re.compile(r"h"), ""),
    (re.compile(r"(.)\1+"), r"\1"),
)


def sound_key(word: str) -> str:
    """How a word sounds in the Caribbean: b = v, s = c = z, ll = y, silent h, letters never doubled."""
    for pattern, replacement in _SOUNDS:
        word = pattern.sub(replacement, word)
    return word
