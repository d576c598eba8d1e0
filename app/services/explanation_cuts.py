"""Where a step's content may be cut between two chunks, and where it may not.

A client shows what it has as soon as it has it, so nothing is cut that means something only as a whole: a grapheme
cluster, a formula between dollar signs, a code span, a link, an image, the mark of an escape, of emphasis or of a
fence. What lies between two cuts is an atom.

Formulas are read as Pandoc reads them: the first ``$`` has something other than a space to its right, the next one
has something other than a space to its left and no digit to its right, so «$8.000 y $1.800» is money. Everything is
found in one pass over the content, whatever is in it.
"""

import re
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate

import regex  # type: ignore[import-untyped]

_GRAPHEME = regex.compile(r"\X")
_FENCE = re.compile(r"^[ \t>]*(?P<run>`{3,}(?=[^`\n]*$)|~{3,})[^\n]*", re.MULTILINE)
_BLANK_LINE = re.compile(r"\n[ \t]*(?=\n)")
_BACKTICKS = re.compile(r"`+")
_DOLLAR = re.compile(r"\\.|\$", re.DOTALL)
_MARK = re.compile(r"\\.|`+|\$|!?\[|\]|<|&|[*_~]+|#+", re.DOTALL)
_DESTINATION = re.compile(
    r"""\([ \t]*+(?:<[^<>\n]*+>|(?:[^()\s\\<]|\\.|\([^()\s]*+\))*+)"""
    r"""(?:[ \t\n]++(?:"[^"]{0,500}+"|'[^']{0,500}+'))?[ \t\n]*+\)"""
)
_ANGLE = re.compile(r"<(?:/?[a-zA-Z][^<>\n]*+|!--[^<>\n]*+)>")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]\w{1,30});")

Span = tuple[int, int]


@lru_cache(maxsize=256)
def find_cuts(content: str) -> "array[int]":
    """Return every position, in ascending order, at which an atom of ``content`` ends; the last is its length.

    Many listen to the same answer, so what was found is kept for the next one; nobody changes it.
    """
    depth = [0] * (len(content) + 2)
    for start, end in _spans(content):
        depth[start + 1] += 1
        depth[end] -= 1
    within = list(accumulate(depth))
    ends = (
        range(1, len(content) + 1)
        if content.isascii() and "\r" not in content
        else (match.end() for match in _GRAPHEME.finditer(content))
    )
    return array("I", (end for end in ends if not within[end]))


def _spans(content: str) -> Iterator[Span]:
    """Yield what is not to be cut, in no particular order; one may lie in another."""
    start, opened = 0, ""
    for fence in _FENCE.finditer(content):
        run = fence["run"]
        if opened and not (run.startswith(opened) and fence[0].rstrip().endswith(run)):
            continue  # a fence within a fence is code
        yield fence.span()
        if not opened:
            yield from _Inline(content, start, fence.start()).spans()
        start, opened = fence.end(), "" if opened else run
    if not opened:
        yield from _Inline(content, start, len(content)).spans()


class _Inline:
    """What is marked within the lines of a text that has no fences."""

    def __init__(self, content: str, start: int, end: int) -> None:
        self._content, self._start, self._end = content, start, end
        self._blank_lines = [match.start() for match in _BLANK_LINE.finditer(content, start, end)]
        self._dollars = [match.start() for match in _DOLLAR.finditer(content, start, end) if match[0] == "$"]
        self._pairs = [place for place in self._dollars if content.startswith("$$", place, end)]
        self._backticks: dict[int, list[int]] = defaultdict(list)
        for match in _BACKTICKS.finditer(content, start, end):
            self._backticks[len(match[0])].append(match.start())

    def spans(self) -> Iterator[Span]:
        content, place = self._content, self._start
        brackets: list[int] = []
        while match := _MARK.search(content, place, self._end):
            start, place = match.span()
            mark = match[0]
            span: Span | None = None
            if mark.endswith("["):
                brackets.append(start)
            elif mark == "]":
                span = self._link(brackets, place)
            elif mark[0] == "`":
                span = self._code(start, place)
            elif mark == "$":
                span = self._formula(start)
            elif mark == "<":
                span = self._matched(_ANGLE, start)
            elif mark == "&":
                span = self._matched(_ENTITY, start)
            if span is None:
                span = start, place
            yield span
            place = max(place, span[1])

    def _paragraph_end(self, place: int) -> int:
        return _next(self._blank_lines, place, self._end)

    def _matched(self, pattern: re.Pattern[str], start: int) -> Span | None:
        match = pattern.match(self._content, start, self._end)
        return match.span() if match else None

    def _code(self, start: int, opened: int) -> Span | None:
        """A code span ends with the next run of as many backticks, within its paragraph."""
        width = opened - start
        closing = _next(self._backticks.get(width, ()), opened, self._end)
        return (start, closing + width) if closing < self._paragraph_end(start) else None

    def _formula(self, start: int) -> Span | None:
        content, end = self._content, self._end
        if content.startswith("$$", start, end):
            closing = _next(self._pairs, start + 2, end)
            return (start, closing + 2) if closing < end else None
        closing = _next(self._dollars, start + 1, end)
        if closing >= self._paragraph_end(start) or closing == start + 1:
            return None
        follows = content[closing + 1 : closing + 2]
        if content[start + 1].isspace() or content[closing - 1].isspace() or follows.isdigit():
            return None
        return start, closing + 1

    def _link(self, brackets: list[int], closed: int) -> Span | None:
        """A link is what its brackets hold and where it leads; its text is within one paragraph."""
        if not brackets:
            return None
        start = brackets.pop()
        destination = _DESTINATION.match(self._content, closed, self._end)
        if destination is None or self._paragraph_end(start) < destination.end():
            return None
        return start, destination.end()


def _next(places: "list[int] | tuple[int, ...]", after: int, none: int) -> int:
    """Return the first of the places that is not before ``after``."""
    index = bisect_left(places, after)
    return places[index] if index < len(places) else none
