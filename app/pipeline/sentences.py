"""From words as they come to sentences that can be spoken. Pure."""

import re
from dataclasses import dataclass

_ENDS = "?!…"
_STOPS = ".:;"
_CLOSERS = "\"'»”’)]}*_~`.,;:" + _ENDS
"""What may follow the end of a sentence and belongs to it."""
_MOST_CLOSERS = 16
_OPENERS = "¿¡«“(["


def _word_set(table: str) -> frozenset[str]:
    """Return the words of a table that is written as running text."""
    return frozenset(table.split())


_SHORT_FORMS = _word_set(
    """cra cr kra kr cl cll clle dg diag tv transv av avda avd nro núm num dr dra sr sra srta ing lic ud uds apto apt ap
    ed edif bl blq mz lt of tel cel ej pág prof gral art máx mín aprox conj urb int esq km min seg hab"""
)
"""Words that a full stop only shortens."""
_HALVES = frozenset({"a.m", "p.m", "am", "pm", "etc", "vs"})
"""Short forms that may be a sentence's last word: they are where a new one seems to begin."""
_NUMBER_SIGNS = frozenset({"no", "n"})
"""Short forms only before a number."""
_STREETS = _word_set(
    "calle carrera cra kr cl diagonal dg transversal tv avenida av número no kilómetro manzana torre apartamento"
)
_WEAK = _word_set(
    """a al ante con de del desde el en entre es la las le les lo los me mi nos o para pero por que se si sin sobre su
    sus te tu tus un una unas unos y e u como muy más no ni"""
)
"""Words that nobody pauses after."""
_FEW_WORDS = 3
"""A comma, colon or semicolon ends nothing shorter."""
_MANY_WORDS = 8
"""An answer's first sentence is not made to wait for more."""
_MOST_CHARACTERS = 280
"""No sentence is longer: engines have limits, and sound is made sentence by sentence."""

_WORD = re.compile(r"\S+")
_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\s]*\)")
_HEADING = re.compile(r"^[ \t]*#{1,6}[ \t]+(?!\d)", re.MULTILINE)
_BULLET = re.compile(r"^[ \t]*(?:[-*+•]|>+|\|)[ \t]+", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*(?:[-*_=][ \t]*){3,}$", re.MULTILINE)
_MARKS = re.compile(r"\*+|`+|~~|(?<!\w)_+|_+(?!\w)")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A part of an answer that is spoken at once."""

    start: int
    """Its first character in the answer."""
    end: int
    """The character after its last one."""
    words: str
    """Without Markdown and the spaces around it. May be empty: there is nothing to say."""


class Sentences:
    """Cuts an answer into sentences while it comes. How its text is cut into pieces makes no difference."""

    def __init__(self) -> None:
        self._start = 0
        self._text = ""
        """What is not yet a sentence."""
        self._at = 0
        """Up to where it was looked at."""
        self._has_begun = False

    def feed(self, piece: str) -> list[Sentence]:
        """Return the sentences that are whole now that ``piece`` has come."""
        self._text += piece
        return self._take(is_over=False)

    def flush(self) -> list[Sentence]:
        """Return what is left: nothing more comes, or not before something else happens."""
        made = self._take(is_over=True)
        if self._text:
            made.append(self._cut(len(self._text)))
        return made

    def _take(self, *, is_over: bool) -> list[Sentence]:
        made: list[Sentence] = []
        while (end := self._find(is_over=is_over)) is not None:
            made.append(self._cut(end))
        return made

    def _cut(self, end: int) -> Sentence:
        text, self._text = self._text[:end], self._text[end:]
        sentence = Sentence(self._start, self._start + end, plain(text))
        self._has_begun = self._has_begun or bool(sentence.words)
        self._start += end
        self._at = 0
        return sentence

    def _find(self, *, is_over: bool) -> int | None:
        """Return where the first sentence ends; None where that cannot be known before more has come."""
        text = self._text
        while self._at < len(text):
            at = self._at
            if at >= _MOST_CHARACTERS:
                return self._break_long()
            end = self._end_at(at, is_over=is_over)
            if end is None:
                return None
            if end > at and any(map(str.isalnum, text[:end])):
                return min(end, _MOST_CHARACTERS)
            self._at += 1
        return None

    def _end_at(self, at: int, *, is_over: bool) -> int | None:
        """Return the end of a sentence that the character at ``at`` ends; ``at`` where it ends none; None if unsure."""
        text, letter = self._text, self._text[at]
        if letter == "\n":
            return at + 1
        if letter.isspace():
            return self._early_end(at, is_over=is_over)
        if letter not in _ENDS and letter not in _STOPS and letter != ",":
            return at
        end = at + 1
        most = at + _MOST_CLOSERS
        while end < min(len(text), most) and text[end] in _CLOSERS:
            end += 1
        if end == len(text) and not is_over:
            return None
        following = text[end : end + 1]
        if any(mark in _ENDS for mark in text[at:end]):
            return at if following.isalnum() else end
        if following and not following.isspace() and following not in _OPENERS:
            return at
        if "." in text[at:end]:
            return self._full_stop(at, end, is_over=is_over)
        if letter == "," and self._has_begun:
            return at
        return end if len(_WORD.findall(text[:end])) >= _FEW_WORDS else at

    def _full_stop(self, at: int, end: int, *, is_over: bool) -> int | None:
        """Tell a sentence's end from a short form, an initial, and the number of a list."""
        text = self._text
        before = text[:at].split()
        word = before[-1].lstrip("\"'«“¿¡([*_").lower() if before else ""
        if len(before) == 1 and word.isdecimal():
            return at
        if word in _SHORT_FORMS or (len(word) == 1 and word.isalpha() and word not in _NUMBER_SIGNS):
            return at
        if word not in _HALVES and word not in _NUMBER_SIGNS:
            return end
        rest = text[end:].lstrip()
        if not rest:
            return end if is_over else None
        if word in _NUMBER_SIGNS:
            return at if rest[0].isdecimal() or rest[0] == "#" else end
        return end if rest[0].isupper() or rest[0] in _OPENERS else at

    def _early_end(self, at: int, *, is_over: bool) -> int | None:
        """Return where an answer's first sentence is cut, so that sound begins before it is whole."""
        text = self._text
        if self._has_begun or at == 0 or text[at - 1].isspace():
            return at
        before = text[:at].split()
        if len(before) < _MANY_WORDS:
            return at
        if at + 1 == len(text):
            return at if is_over else None
        last = before[-1].strip("\"'«“¿¡([*_.,;:").lower()
        following = text[at + 1]
        is_tied = last in _WEAK or last in _STREETS or not last.isalpha() or not following.isalpha()
        return at if is_tied else at + 1

    def _break_long(self) -> int:
        """Return where a sentence without an end is cut: after a comma, else a word, else anywhere."""
        text = self._text[:_MOST_CHARACTERS]
        comma = text.rfind(", ")
        if comma > 0:
            return comma + 1
        space = text.rstrip().rfind(" ")
        return space if space > 0 and text[:space].strip() else _MOST_CHARACTERS


def plain(text: str) -> str:
    """Return a text without Markdown."""
    text = _LINK.sub(r"\1", text)
    for pattern in (_RULE, _HEADING, _BULLET, _MARKS):
        text = pattern.sub("", text)
    return text.strip()
