"""What many measurements come to. Pure."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Spread:
    """A sample in a few numbers; None where there is nothing to say."""

    count: int
    median: float | None = None
    p90: float | None = None
    p95: float | None = None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the figures of a sample."""
        if not values:
            return cls(0)
        ordered = sorted(values)
        cuts = (quantile(ordered, 0.5), quantile(ordered, 0.9), quantile(ordered, 0.95))
        return cls(len(ordered), *(round(each, 1) for each in (*cuts, ordered[0], ordered[-1])))

    def cells(self) -> list[str]:
        """Return count, median, p90, p95, least and most as text."""
        figures = (self.median, self.p90, self.p95, self.low, self.high)
        return [str(self.count), *("-" if each is None else f"{each:.0f}" for each in figures)]


SPREAD_HEAD = ("n", "median", "p90", "p95", "min", "max")


@dataclass(frozen=True, slots=True)
class Slope:
    """A straight line through measurements, and how sure its slope is."""

    per_minute: float
    low: float
    """Of the 95 % confidence interval."""
    high: float

    @classmethod
    def of(cls, minutes: Sequence[float], values: Sequence[float]) -> "Slope | None":
        """Return the line of least squares; None of fewer than three points, or of one moment.

        Neighbouring measurements of memory are alike, so the interval is widened by how much they are (an AR(1)
        correction of the sample's size): else a slow wave would pass for a certain slope.
        """
        count = len(values)
        if count < 3 or min(minutes) == max(minutes):
            return None
        slope, base = statistics.linear_regression(minutes, values)
        rests = [value - (base + slope * minute) for minute, value in zip(minutes, values, strict=True)]
        squares = sum(each * each for each in rests)
        middle = statistics.fmean(minutes)
        width = sum((minute - middle) ** 2 for minute in minutes)
        alike = 0.0
        if squares > 0:
            alike = sum(one * other for one, other in pairwise(rests)) / squares
            alike = min(max(alike, 0.0), 0.95)
        effective = max(3.0, count * (1 - alike) / (1 + alike))
        error = math.sqrt(squares / (effective - 2) / width)
        # Of Student's t with few degrees of freedom the normal quantile would be too narrow.
        reach = (1.96 + 2.4 / (effective - 2)) * error
        return cls(slope, slope - reach, slope + reach)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return what lies at a share of an ordered sample, between two neighbours where it falls there."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return cells as lines of text: the first column to the left, the others to the right."""
    cells = [head, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        first, *rest = row
        shown = [first.ljust(widths[0])]
        shown += [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        return "  ".join(shown).rstrip()

    lines = [line(row) for row in cells]
    rule = "-" * max(len(each) for each in lines)
    return "\n".join([lines[0], rule, *lines[1:]])


def share(part: int, whole: int) -> str:
    """Return a share as people read it."""
    return f"{part}/{whole} ({part / whole:.0%})" if whole else "0/0"
