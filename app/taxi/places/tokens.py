"""Splitting a rider's text into numbers, words and signs with their places in the original."""

import re
from dataclasses import dataclass, replace
from typing import Final, Literal

from app.taxi.places.numerals import UNITS, joined, numeral, read_number
from app.taxi.text import fold

Kind = Literal["number", "word", "sign", "phone"]


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of a text.

    Attributes:
        kind: number, word, sign, or a telephone number (which is never part of an address).
        text: digits of a number (also of a spoken one), folded word, or the sign.
        start: first index in the original text.
        end: index after the last character in the original text.
        glued: no blank lies between this token and the one before it.
        spoken: a number that was written in words.
    """

    kind: Kind
    text: str
    start: int
    end: int
    glued: bool = False
    spoken: bool = False


_PIECE: Final = re.compile(
    r"(?P<phone>(?<!\d)(?:\+?57[ .-]?)?3\d{2}[ .-]?\d{3}[ .-]?\d{2}[ .-]?\d{2}(?!\d))"
    r"|(?P<number>\d+)|(?P<word>[^\W\d_]+)|(?P<sign>[^\w\s]|_)"
)
_DASHES: Final = {"–": "-", "—": "-", "‒": "-", "−": "-", "‐": "-", "‑": "-", "\N{FULLWIDTH NUMBER SIGN}": "#"}
_SPLITTABLE: Final = re.compile(
    r"(?P<head>[a-z]{0,2}?)(?P<tail>sur|norte|bis|calle|clle|cll|cl|carrera|cra|cr|kra|kr|avenida|av|dg|diag|tv|transv"
    r"|apto|con|y|no)"
)
_NUMBER_MARKS: Final = frozenset(["numero", "#"])
_BEFORE_NUMBERS: Final = frozenset(["calle", "carrera", "diagonal", "transversal", "numero"])
_MAX_DIGITS: Final = 40
_TENS: Final = re.compile(r"[2-9]0")
_UNIT_AND_PLATE: Final = re.compile(r"[1-9](?:\d\d)?")


def _split_glued_word(word: str) -> int:
    """Length of the letter part in what is glued to a number: "bcl" of "51BCL" is 1, "sur" of "9SUR" is 0."""
    match = _SPLITTABLE.fullmatch(word)
    return len(match["head"]) if match else len(word)


def _raw_tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    previous_end = -1
    for match in _PIECE.finditer(fold(text)):
        start, end = match.span()
        piece = match.group()
        kind = match.lastgroup
        glued = start == previous_end
        if kind == "word":
            after_number = glued and bool(tokens) and tokens[-1].kind == "number"
            cut = _split_glued_word(piece) if after_number and len(piece) > 1 else 0
            if 0 < cut < len(piece):
                tokens.append(Token("word", piece[:cut], start, start + cut, glued=True))
                tokens.append(Token("word", piece[cut:], start + cut, end, glued=True))
            else:
                tokens.append(Token("word", piece, start, end, glued=glued))
        elif kind == "number":
            # int() of other scripts' digits is right, and an absurd flood of digits is cut: it is no street anyway.
            digits = piece if piece.isascii() else "".join(str(int(digit)) for digit in piece[:_MAX_DIGITS])
            tokens.append(Token("number", digits[:_MAX_DIGITS], start, end, glued=glued))
        elif kind == "phone":
            tokens.append(Token("phone", piece, start, end, glued=glued))
        else:
            tokens.append(Token("sign", _DASHES.get(piece, piece), start, end, glued=glued))
        previous_end = end
    return tokens


def _without_signs_of_recognisers(raw: list[Token]) -> list[Token]:
    """Return the tokens without the dash of "43-B", which nobody said."""
    kept: list[Token] = []
    for place, token in enumerate(raw):
        if token.kind == "sign" and 0 < place < len(raw) - 1:
            before, after = raw[place - 1], raw[place + 1]
            is_letter = after.kind == "word" and len(after.text) == 1 and after.glued
            if token.text == "-" and token.glued and before.kind == "number" and is_letter:
                continue
        kept.append(token)
    return kept


def _is_number(token: Token) -> bool:
    return token.kind == "number" or read_number([numeral(token.text)]) is not None


def _with_letters_apart(raw: list[Token]) -> list[Token]:
    """Return the tokens with the letter of "cuarenta y seis seciento veinte", 46C 120, in a token of its own."""
    out: list[Token] = []
    for token in raw:
        if len(out) > 1 and token.text in _NUMBER_MARKS and out[-1].text == "de" and _is_number(out[-2]):
            out[-1] = replace(out[-1], text="d")  # "calle cincuenta y tres de número": 53D
        if token.kind == "word" and token.text in ("seciento", "ceciento"):
            cut = token.start + 2
            out += [replace(token, text="ce", end=cut), replace(token, text="ciento", start=cut, glued=False)]
        else:
            out.append(token)
    return out


def _with_numerals(raw: list[Token]) -> list[Token]:
    """Return the tokens with numbers put right: "cinquenta", "se senta", "ochenta y doscientos" for 82 100."""
    put_right: list[Token] = []
    for token in _with_letters_apart(raw):
        last = put_right[-1] if put_right else None
        before = last.text if last is not None and last.kind == "word" else ""
        meant = numeral(token.text, before) if token.kind == "word" else token.text
        two = joined(meant, [each.text for each in put_right[-2:]])
        if two is not None:
            cut = token.start + len(two[0])
            put_right += [replace(token, text=two[0], end=cut), replace(token, text=two[1], start=cut)]
        elif meant == token.text:
            put_right.append(token)
        elif last is not None and numeral(token.text) == token.text:  # half of a number: the other half is before it
            put_right[-1] = replace(token, text=meant, start=last.start, glued=last.glued)
        else:
            put_right.append(replace(token, text=meant))
    return put_right


def _tens_and_units(raw: list[Token], position: int) -> list[Token]:
    """Return what "70 y dos" or "40 y 325" is, as recognisers write 72 and "43 25"; nothing where it is neither."""
    if position + 2 >= len(raw) or not _TENS.fullmatch(raw[position].text) or raw[position + 1].text not in ("y", "i"):
        return []
    tens, unit = raw[position], raw[position + 2]
    digits = str(UNITS[unit.text]) if unit.kind == "word" and unit.text in UNITS else unit.text
    if unit.kind not in ("word", "number") or not _UNIT_AND_PLATE.fullmatch(digits):
        return []
    cut = unit.end if len(digits) == 1 else unit.start + 1
    number = Token("number", tens.text[0] + digits[0], tens.start, cut, glued=tens.glued, spoken=True)
    return [number] if len(digits) == 1 else [number, Token("number", digits[1:], cut, unit.end, spoken=True)]


def tokenize(text: str) -> list[Token]:
    """Split a text; runs of number words become one number token.

    Args:
        text: anything a rider may send.

    Returns:
        The tokens in order; each knows its span in ``text``.
    """
    raw = _with_numerals(_without_signs_of_recognisers(_raw_tokens(text)))
    words = [token.text if token.kind == "word" else "" for token in raw]
    tokens: list[Token] = []
    position = 0
    while position < len(raw):
        written = _tens_and_units(raw, position)
        if written:
            tokens += written
            position += 3
            continue
        number = read_number(words, position) if raw[position].kind == "word" else None
        if words[position] == "mil" and tokens and tokens[-1].kind == "number":
            number = None  # "20 mil" is money, never a street
        if number is None:
            tokens.append(raw[position])
            position += 1
            continue
        digits, after = number
        tokens.append(
            Token("number", digits, raw[position].start, raw[after - 1].end, glued=raw[position].glued, spoken=True)
        )
        position = after
    return _without_commas_before_numbers(tokens)


def _without_commas_before_numbers(tokens: list[Token]) -> list[Token]:
    """Return the tokens without the comma of "transversal, cuarenta y cuatro": nobody pauses there to end a thing."""
    return [
        token
        for place, token in enumerate(tokens)
        if token.text != ","
        or not 0 < place < len(tokens) - 1
        or tokens[place - 1].text not in _BEFORE_NUMBERS
        or tokens[place + 1].kind != "number"
    ]
