"""Drawings for explanations, as canvas commands in the order in which they are drawn. Pure."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from app.models.canvas import HEIGHT, WIDTH, Circle, Color, Drawing, Line, Path, Rect, Text
from app.taxi.fares import HourSpan

_BAR_LEFT, _BAR_RIGHT = 34.0, 84.0


def fare_bars(parts: Sequence[tuple[str, int, str]], total: tuple[str, str]) -> list[Drawing]:
    """Draw a sum as bars, each beginning where the one above it ends, and the total under a line.

    Args:
        parts: Name, amount and written amount of each, in order.
        total: What the total is called, and how it is written.
    """
    whole = sum(amount for _, amount, _ in parts) or 1
    row = min(13.0, (HEIGHT - 8) / (len(parts) + 1))
    drawings: list[Drawing] = []
    before = 0
    for index, (name, amount, written) in enumerate(parts):
        y = 4 + index * row
        left, right = (_along(before / whole), _along((before + amount) / whole))
        color: Color = "ink" if index == 0 else "warning"
        drawings += [
            Text(x=_BAR_LEFT - 2, y=y + row * 0.35, text=name, align="end"),
            Rect(x=left, y=y, width=max(right - left, 0.5), height=row * 0.7, color=color, fill=True),
            Text(x=WIDTH - 1, y=y + row * 0.35, text=written, align="end"),
        ]
        before += amount
    y = 4 + len(parts) * row
    return [
        *drawings,
        Line(x1=2, y1=y, x2=WIDTH - 1, y2=y, color="muted"),
        Text(x=_BAR_LEFT - 2, y=y + row * 0.6, text=total[0], align="end", color="accent"),
        Rect(x=_BAR_LEFT, y=y + row * 0.25, width=_BAR_RIGHT - _BAR_LEFT, height=row * 0.7, color="accent", fill=True),
        Text(x=WIDTH - 1, y=y + row * 0.6, text=total[1], align="end", color="accent"),
    ]


def _along(share: float) -> float:
    return round(_BAR_LEFT + share * (_BAR_RIGHT - _BAR_LEFT), 2)


def day_bar(certain: HourSpan, possible: HourSpan, names: tuple[str, str, str]) -> list[Drawing]:
    """Draw the hours of a day: those that are night for certain, those that may be, and the others.

    Args:
        certain: Hours that are night.
        possible: Hours that may be night.
        names: What the three are called, in this order.
    """
    cell = 90 / 24
    drawings: list[Drawing] = []
    colors: tuple[Color, Color, Color] = ("accent", "warning", "muted")
    for hour in range(24):
        color = colors[0 if certain.holds(hour) else 1 if possible.holds(hour) else 2]
        x = round(5 + hour * cell, 2)
        drawings.append(Rect(x=x, y=16, width=cell, height=14, color=color, fill=color != "muted", stroke=0.3))
        if hour % 6 == 0:
            drawings.append(Text(x=x, y=33, text=f"{hour}:00", align="middle", color="muted"))
    drawings.append(Text(x=95, y=33, text="24:00", align="middle", color="muted"))
    for index, (name, color) in enumerate(zip(names, colors, strict=True)):
        y = 42 + index * 6
        drawings += [
            Rect(x=5, y=y - 1.5, width=4, height=3, color=color, fill=color != "muted", stroke=0.3),
            Text(x=11, y=y, text=name),
        ]
    return drawings


def address_grid(street: str, cross: str, plate: int, labels: tuple[str, str]) -> list[Drawing]:
    """Draw where a plate lies: the street, the street that crosses it, and the metres from their corner.

    Args:
        street: The street of the address.
        cross: The street that makes the corner.
        plate: Metres from the corner.
        labels: What is written at the corner, and at the metres.
    """
    corner, block = 24.0, 46.0
    metres = max(100.0, plate * 1.15)
    door = round(corner + block * max(plate, 8) / metres, 2)
    y, above = 36.0, plate % 2 == 0
    house = y - 11 if above else y + 4
    return [
        Line(x1=corner + block, y1=8, x2=corner + block, y2=56, color="muted", stroke=1),
        Line(x1=4, y1=14, x2=WIDTH - 4, y2=14, color="muted", stroke=1),
        Line(x1=4, y1=y, x2=WIDTH - 4, y2=y, stroke=1.5),
        Text(x=WIDTH - 4, y=y + 4, text=street, align="end", size=3.5),
        Line(x1=corner, y1=8, x2=corner, y2=56, stroke=1.5),
        Text(x=corner, y=4.5, text=cross, align="middle", size=3.5),
        Circle(x=corner, y=y, radius=1.6, color="accent", fill=True),
        Text(x=corner - 2, y=y + 5, text=labels[0], align="end", color="muted"),
        Line(x1=corner, y1=y, x2=door, y2=y, color="accent", stroke=1.5),
        Text(
            x=round((corner + door) / 2, 2), y=y + (4 if above else -4), text=labels[1], align="middle", color="accent"
        ),
        Rect(x=door - 3, y=house, width=6, height=7, color="accent", fill=True),
        Text(x=door + 5, y=house + 3.5, text=f"#{plate}", color="accent", size=3.5),
    ]


def coverage_map(centroids: Mapping[str, tuple[float, float]], covered: Sequence[str], legend: str) -> list[Drawing]:
    """Draw the municipalities where they lie, north up, those that are covered filled.

    Args:
        centroids: Latitude and longitude of each.
        covered: The ones where riders are picked up.
        legend: What a filled one means.
    """
    latitudes, longitudes = zip(*centroids.values(), strict=True)
    south, north, west, east = min(latitudes), max(latitudes), min(longitudes), max(longitudes)
    drawings: list[Drawing] = []
    for name, (latitude, longitude) in centroids.items():
        x = round(14 + 58 * (longitude - west) / ((east - west) or 1), 2)
        y = round(12 + 38 * (north - latitude) / ((north - south) or 1), 2)
        is_covered = name in covered
        color: Color = "good" if is_covered else "muted"
        drawings += [
            Circle(x=x, y=y, radius=3, color=color, fill=is_covered),
            Text(x=x + 5, y=y, text=name, color="ink" if is_covered else "muted", size=3.2),
        ]
    return [
        *drawings,
        Path(points=((5, 12), (5, 4)), color="muted"),
        Path(points=((4, 6), (5, 4), (6, 6)), color="muted"),
        Text(x=5, y=14.5, text="N", align="middle", color="muted"),
        Circle(x=6, y=56, radius=1.6, color="good", fill=True),
        Text(x=10, y=56, text=legend, color="muted"),
    ]


def route(stops: Sequence[str]) -> list[Drawing]:
    """Draw a way through the streets from stop to stop."""
    last = len(stops) - 1
    places = [(round(10 + 78 * index / last, 2), round(48 - 34 * index / last, 2)) for index in range(len(stops))]
    drawings: list[Drawing] = [Line(x1=2, y1=y, x2=98, y2=y, color="muted", stroke=0.2) for _, y in places]
    drawings += [Line(x1=x, y1=6, x2=x, y2=54, color="muted", stroke=0.2) for x, _ in places]
    drawings.append(Circle(x=places[0][0], y=places[0][1], radius=2, color="accent", fill=True))
    drawings.append(_named(stops[0], places[0], 0, last))
    for index, ((x1, y1), (x2, y2)) in enumerate(pairwise(places), 1):
        drawings += [
            Path(points=((x1, y1), (x2, y1), (x2, y2)), color="accent", stroke=1),
            Circle(x=x2, y=y2, radius=2, color="good" if index == last else "accent", fill=True),
            _named(stops[index], (x2, y2), index, last),
        ]
    return drawings


def _named(name: str, place: tuple[float, float], index: int, last: int) -> Text:
    x, y = place
    if index == last:
        return Text(x=x, y=y - 5, text=name, align="end" if x > WIDTH * 0.7 else "middle")
    return Text(x=max(x - 4, 2), y=y - 5 if index else y + 5, text=name, align="start" if not index else "middle")


def cards(names: Sequence[str]) -> list[Drawing]:
    """Draw things to choose from, side by side, two in a row."""
    drawings: list[Drawing] = []
    for index, name in enumerate(names[:6]):
        x, y = 6.0 + 46 * (index % 2), 6.0 + 18 * (index // 2)
        drawings += [
            Rect(x=x, y=y, width=42, height=14, color="accent", stroke=0.6),
            Text(x=x + 21, y=y + 7, text=name, align="middle", size=4),
        ]
    return drawings
