"""How a sentence is cut into pieces that are synthesised one after the other, so that the first is heard early."""

import re

_CLAUSE = re.compile(r"[^,;:.!?…]+(?:[,;:.!?…]+[»”\")]*|$)")
_CONNECTIVE = re.compile(
    r"\s(?=(?:y|e|o|u|que|en|con|para|por|de|del|a|al|desde|hasta|porque|pero|cuando|donde|si|sin)\s)", re.IGNORECASE
)

_FIRST_LETTERS = 8
"""Less than so many letters alone sound clipped, and are over before the next piece is made."""
_LONG_FIRST_CHARS = 60
"""A first clause that is longer is cut in the middle."""
_FIRST_CHARS = (18, 40)
"""Where: at a connective between these, or at the last word before the second."""
_CHARS = 90
"""The most that a piece has: work that nobody wants any more stops at the end of one."""


def pieces(text: str) -> list[str]:
    """Return the pieces of a sentence, in order, none without a letter or digit.

    The first is short, cut at punctuation, or before a connective where there is none for long. Later ones are
    longer: each is made while the one before is heard.
    """
    grouped: list[str] = []
    readable = text.replace("\0", " ").encode(errors="replace").decode()  # lone surrogates are nothing to read
    for clause in _clauses(" ".join(readable.split())):
        last = grouped[-1] if grouped else ""
        if grouped and _belongs_to(last, clause, first=len(grouped) == 1):
            grouped[-1] = f"{last} {clause}"
        else:
            grouped.append(clause)
    return grouped


def _belongs_to(last: str, clause: str, *, first: bool) -> bool:
    if len(last) + 1 + len(clause) > _CHARS:
        return False
    return not first or _letters(last) < _FIRST_LETTERS or _letters(clause) < _FIRST_LETTERS


def _clauses(text: str) -> list[str]:
    clauses: list[str] = []
    for match in _CLAUSE.finditer(text):
        clause = match.group().strip()
        if not _letters(clause):
            continue
        if not clauses and len(clause) > _LONG_FIRST_CHARS:
            head, clause = _cut_early(clause)
            clauses.append(head)
        while len(clause) > _CHARS:
            head, clause = _cut(clause, _CHARS)
            clauses.append(head)
        clauses.append(clause)
    return clauses


def _cut_early(clause: str) -> tuple[str, str]:
    least, most = _FIRST_CHARS
    before = [match.start() for match in _CONNECTIVE.finditer(clause, least, most)]
    return (clause[: before[-1]], clause[before[-1] + 1 :]) if before else _cut(clause, most)


def _cut(clause: str, most: int) -> tuple[str, str]:
    """Cut at the last space that leaves at most so many characters; anywhere where there is none."""
    at = clause.rfind(" ", 1, most)
    return (clause[:at], clause[at + 1 :]) if at > 0 else (clause[:most], clause[most:])


def _letters(text: str) -> int:
    return sum(character.isalnum() for character in text)
