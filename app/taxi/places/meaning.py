"""What a sequence of items means: address, corner, block, kilometre, or what is missing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from app.taxi.places.items import Item
from app.taxi.places.vias import Address, Via, cross_kind, write_address

Outcome = Literal["address", "corner", "ambiguous"]
_MAX_NUMBER: Final = 250
_MAX_PLATE_DIGITS: Final = 4
_NEIGHBORS: Final = 4
"""Streets with numbers so far apart may be the two sides of a block, some between them having no way through."""
_MAX_CHOICES: Final = 4


@dataclass(frozen=True, slots=True)
class Meaning:
    """One reading of the items.

    Attributes:
        outcome: address, corner (also a block between two streets) or ambiguous.
        address: what is known.
        missing: "cross_street", "plate" when ambiguous for want of something.
        choices: canonical forms to choose from.
        used: how many items the reading used.
        after: index after the last token used.
        rivals: structured form of ``choices`` where both readings are whole.
        front: the rider said "frente a".
    """

    outcome: Outcome
    address: Address
    missing: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    used: int = 0
    front: bool = False
    after: int = 0
    rivals: tuple[Address, ...] = ()


def _typed_as(via: Via, kind: str | None) -> Via:
    return replace(via, kind=kind)


def _is_plate(item: Item) -> bool:
    return item.digits_only and len(item.raw) <= _MAX_PLATE_DIGITS


def _is_generator(via: Via) -> bool:
    return via.number.isdigit() and 0 < int(via.number) <= _MAX_NUMBER


def _plate_address(street: Via, generator: Via, plate: Item) -> Address:
    return Address(street, _typed_as(generator, cross_kind(street)), plate.raw)


def _merge(first: Item, second: Item) -> Item | None:
    """Tens and unit spoken without "y" ("cuarenta tres"), or a spoken hundred and the rest ("cien veinte")."""
    if not (first.spoken and second.spoken and first.digits_only and second.bare) or second.links:
        return None
    head, tail = int(first.raw), second.via.number
    if first.raw.startswith("0") or second.raw.startswith("0") or not tail:
        return None
    if (20 <= head <= 90 and head % 10 == 0 and len(tail) == 1) or (head == 100 and len(tail) <= 2):
        merged = head + int(tail)
    else:
        return None
    via = replace(second.via, number=str(merged))
    return replace(first, via=via, end=second.end, after=second.after, raw=str(merged), choices=second.choices)


def _partitions(items: Sequence[Item], wanted: int) -> Iterator[list[Item]]:
    """Ways to merge neighbours of ``items`` into exactly ``wanted`` numbers."""
    if wanted == 0 or len(items) < wanted or len(items) > 2 * wanted:
        if not items and wanted == 0:
            yield []
        return
    for rest in _partitions(items[1:], wanted - 1):
        yield [items[0], *rest]
    if len(items) > 1:
        merged = _merge(items[0], items[1])
        if merged is not None:
            for rest in _partitions(items[2:], wanted - 1):
                yield [merged, *rest]


def _run_of_digits(items: Sequence[Item]) -> Item | None:
    """Single digits said one by one ("siete dos") as one number; None when something else is among them."""
    if not items or any(not item.digits_only or len(item.raw) != 1 or not item.spoken for item in items):
        return None
    raw = "".join(item.raw for item in items)
    if len(raw) > 3 or raw.startswith("0"):
        return None
    via = Via(None, raw)
    return replace(items[0], via=via, raw=raw, end=items[-1].end, after=items[-1].after)


def _whole_number(items: Sequence[Item]) -> Item | None:
    """One number out of pieces: as it is, tens and unit, or digit by digit."""
    if len(items) == 1:
        return items[0]
    merged = _merge(items[0], items[1]) if len(items) == 2 else None
    return merged or _run_of_digits(items)


def _whole_plate(items: Sequence[Item]) -> Item | None:
    """A plate out of pieces; also hundreds said as a digit: "dos cincuenta y cuatro" is 254."""
    whole = _whole_number(items)
    if whole is not None or len(items) < 2:
        return whole
    rest = _whole_number(items[1:])
    head = items[0]
    if rest is None or not (head.spoken and head.digits_only and rest.digits_only) or len(head.raw) != 1:
        return None
    if head.raw == "0" or len(rest.raw) != 2 or rest.raw.startswith("0") or items[1].links:
        return None
    return replace(rest, raw=head.raw + rest.raw, via=replace(rest.via, number=head.raw + rest.raw))


def _join_street(items: Sequence[Item]) -> list[Item] | None:
    """Merge street numbers said in pieces before "número" or a typed cross street: "setenta dos número" is 72."""
    cut = next((i for i, item in enumerate(items[1:], 1) if item.typed or item.links), len(items))
    if cut == 1 or cut == len(items) or not ({"#", "con", "entre"} & items[cut].links or items[cut].typed):
        return None
    street = items[0]
    bare = replace(street, via=replace(street.via, kind=None))
    pieces = [bare, *items[1:cut]]
    whole = next(_partitions(pieces, 1), None)
    joined = whole[0] if whole else _run_of_digits(pieces)
    if joined is None:
        return None
    typed = replace(joined, via=replace(joined.via, kind=street.via.kind), start=street.start, links=frozenset())
    return [typed, *items[cut:]]


def _join_crosses(items: Sequence[Item]) -> list[Item]:
    """Merge "carrera cuarenta | tres" of a typed cross street."""
    out: list[Item] = []
    for item in items:
        if out and len(out) > 1 and out[-1].typed and item.bare and not item.links:
            bare = replace(out[-1], via=replace(out[-1].via, kind=None), links=frozenset())
            merged = _merge(bare, item)
            if merged is not None:
                out[-1] = replace(merged, via=replace(merged.via, kind=out[-1].via.kind), links=out[-1].links)
                continue
        out.append(item)
    return out


def _missing_plate(street: Via, cross: Item, front: bool) -> Meaning:
    corner = Address(street, _typed_as(cross.via, cross_kind(street)))
    return Meaning("ambiguous", corner, ("plate",), (write_address(corner),), 2, front)


def _split_glued(street: Via, digits: str) -> tuple[str, ...]:
    """Readings of a number that a recogniser wrote in one piece: 4325 as 43-25, 4-325."""
    out = []
    for cut in (2, 1, 3):
        generator, plate = digits[:cut], digits[cut:]
        if plate and len(plate) <= 3 and not generator.startswith("0") and int(generator) <= 150:
            out.append(write_address(Address(street, Via(cross_kind(street), generator), plate)))
    return tuple(out[:_MAX_CHOICES])


def _are_neighbors(one: Via, two: Via) -> bool:
    """Whether one can stand between two streets: "calle 94 número 50 y 33", as recognisers write 50-33, is a plate."""
    return abs(int(one.number or 0) - int(two.number or 0)) <= _NEIGHBORS


def _bare_numbers(street: Via, rest: Sequence[Item], front: bool) -> Meaning:
    """A street followed by bare numbers only."""
    first = rest[0]
    kind = cross_kind(street)
    corner_link = bool(first.links & {"con", "entre", "y"})
    between = bool(first.links & {"entre", "y"}) or (front and len(rest) == 2 and "y" in rest[1].links)
    if len(rest) >= 2 and "y" in rest[1].links and not rest[1].links & {"-", "#"}:
        one, two = _typed_as(first.via, kind), _typed_as(rest[1].via, kind)
        is_plate = "#" in first.links and not _are_neighbors(one, two)
        if _is_generator(one) and _is_generator(two) and not is_plate:
            return Meaning("corner", Address(street, one, between=two), used=3, front=front)
    if between and "entre" in first.links and len(rest) == 2 and not rest[1].links:
        one, two = _typed_as(first.via, kind), _typed_as(rest[1].via, kind)
        if _is_generator(one) and _is_generator(two):
            return Meaning("corner", Address(street, one, between=two), used=3, front=front)
    if not _is_generator(first.via):
        choices = (
            _split_glued(street, first.raw) if first.digits_only and 3 < len(first.raw) <= 6 and len(rest) == 1 else ()
        )
        return Meaning("ambiguous", Address(street), ("cross_street",), choices, 1, front)
    if len(rest) == 1:
        if corner_link or "#" not in first.links:
            # without a number mark the second number is the cross street; after one the plate is still to come
            return Meaning("corner", Address(street, _typed_as(first.via, kind)), used=2, front=front)
        return _missing_plate(street, first, front)
    if len(rest) == 2:
        if _is_plate(rest[1]):
            return Meaning("address", _plate_address(street, first.via, rest[1]), used=3, front=front)
        return _missing_plate(street, first, front)
    readings = [
        pair for pair in _partitions(rest, 2) if _is_generator(pair[0].via) and _is_plate(pair[1])
    ]  # fmt: skip
    if not readings:
        for cut in range(1, len(rest)):
            if rest[cut - 1].choices:
                continue  # "42 b uno sesenta y uno": the digit after the letter is the letter's
            generator, plate = _whole_number(rest[:cut]), _whole_plate(rest[cut:])
            if generator and plate and _is_generator(generator.via) and _is_plate(plate):
                readings.append([generator, plate])
    addresses = list(dict.fromkeys(_plate_address(street, pair[0].via, pair[1]) for pair in readings))
    if len(addresses) == 1:
        return Meaning("address", addresses[0], used=len(rest) + 1, front=front)
    choices = tuple(write_address(address) for address in addresses[:_MAX_CHOICES])
    if not choices and _is_plate(rest[1]):
        choices = (write_address(_plate_address(street, first.via, rest[1])),)
    return Meaning("ambiguous", Address(street), ("cross_street", "plate"), choices, len(rest) + 1, front)


def _corridor(via: Via) -> bool:
    return via.name is not None or via.kind in {"Avenida", "Vía", "Autopista", "Avenida Calle", "Avenida Carrera"}


def _same_axis(one: Via, two: Via) -> bool:
    """Two calles or two carreras run in parallel."""
    return bool(one.number and two.number) and cross_kind(one) is not None and one.kind == two.kind


def _typed_cross(street: Via, rest: Sequence[Item], front: bool) -> Meaning:
    """A street followed by a typed street."""
    cross = rest[0].via
    if len(rest) >= 2 and street.number and cross.name and cross_kind(cross) == cross_kind(street) is not None:
        if rest[1].typed and rest[1].via.kind == cross_kind(street):
            return replace(_typed_cross(street, rest[1:], front), used=3)
        if rest[1].bare:  # "carrera 46, Olaya Herrera, con 72": the corridor's name repeats the street
            numbers = _bare_numbers(street, rest[1:], front)
            return replace(numbers, used=numbers.used + 1)
    if len(rest) >= 2 and rest[1].links & {"y"}:
        second = rest[1].via if rest[1].typed else _typed_as(rest[1].via, cross.kind if cross.number else None)
        if rest[1].typed or _is_generator(second):
            return Meaning("corner", Address(street, cross, between=second), used=3, front=front)
    if len(rest) >= 2 and rest[1].typed:
        second = rest[1].via
        if _corridor(street) and {cross.kind, second.kind} == {"Calle", "Carrera"}:
            # "Circunvalar, calle 110 con carrera 46": the corridor is the calle itself here
            return Meaning("corner", Address(cross, second), used=3, front=front)
        if {street.kind, cross.kind} == {"Calle", "Carrera"} or not _same_axis(street, cross):
            return Meaning("corner", Address(street, cross), used=2, front=front)
    if len(rest) >= 3 and _is_plate(rest[2]) and rest[1].bare and _is_generator(rest[1].via):
        generator = rest[1].via
        if _corridor(street) or generator.ident == street.ident:
            return Meaning("address", _plate_address(cross, generator, rest[2]), used=4, front=front)
        if generator.ident == cross.ident:
            return Meaning("address", _plate_address(street, generator, rest[2]), used=4, front=front)
        both = (_plate_address(street, cross, rest[1]), _plate_address(cross, generator, rest[2]))
        if not _is_plate(rest[1]):
            both = (_plate_address(street, generator, rest[2]), _plate_address(cross, generator, rest[2]))
        return Meaning("ambiguous", Address(street, cross), ("plate",), tuple(map(write_address, both)), 4, front)
    if _same_axis(street, cross):
        return Meaning("ambiguous", Address(street), ("cross_street",), (str(street), str(cross)), 2, front)
    if len(rest) == 2 and rest[1].bare:
        if _is_plate(rest[1]) and cross.number and not rest[1].links & {"con", "entre"}:
            return Meaning("address", _plate_address(street, cross, rest[1]), used=3, front=front)
        if _is_generator(rest[1].via) and "con" in rest[1].links and _corridor(street):
            return Meaning("corner", Address(cross, _typed_as(rest[1].via, cross_kind(cross))), used=3, front=front)
    return Meaning("corner", Address(street, cross), used=2, front=front)


def interpret(items: Sequence[Item]) -> Meaning:
    """Say what the items of one address mean.

    Args:
        items: from ``collect``; the first is a street with its kind or name, or a kilometre mark.

    Returns:
        The best reading; "ambiguous" carries what is missing or the readings to choose from.
    """
    meaning, read = _interpret(list(items))
    return replace(meaning, after=read[min(max(meaning.used, 1), len(read)) - 1].after)


def _interpret(items: list[Item]) -> tuple[Meaning, list[Item]]:
    """As ``interpret``; also the items after merging, which ``used`` counts."""
    kms = [item for item in items if item.km is not None]
    if kms:
        roads = sorted((item for item in items if item.typed), key=lambda item: bool(item.via.number))
        if not roads:
            return Meaning("ambiguous", Address(Via(None), km=kms[0].km), ("street",), used=1), items
        if len(items) == 2 or items[0].km is not None or items[1].km is not None or not roads[0].via.number:
            return Meaning("address", Address(roads[0].via, km=kms[0].km), used=len(items)), items
        items = [item for item in items if item.km is None]
    items = _join_crosses(items)
    items = _join_street(items) or items
    street, rest = items[0].via, items[1:]
    if not rest:
        return Meaning("ambiguous", Address(street), ("cross_street",), used=1), items
    front = "frente" in rest[0].links
    if rest[0].typed:
        return _typed_cross(street, rest, front), items
    following = next((i for i, item in enumerate(rest) if item.typed), len(rest))
    if following == len(rest):
        return _only_numbers(items, street, rest, front), items
    if following == 1 and rest[1].links & {"y"} and _is_generator(rest[0].via):
        one = _typed_as(rest[0].via, cross_kind(street))
        return Meaning("corner", Address(street, one, between=rest[1].via), used=3, front=front), items
    if following == 1 and "-" in rest[0].links and _is_plate(rest[0]) and rest[1].via.kind == cross_kind(street):
        # "Calle 76-175, carrera 51": the plate said before the cross street
        return Meaning("address", _plate_address(street, rest[1].via, rest[0]), used=3, front=front), items
    if following == 1 and _corridor(street):
        # "Circunvalar 110 carrera 31": the bare number is another name of the corridor
        return Meaning("corner", Address(street, rest[1].via), used=3, front=front), items
    if following >= 2 and "y" not in rest[following].links:
        return _only_numbers(items[: following + 1], street, rest[:following], front), items
    choices = tuple(str(via) for via in (street, rest[following].via))
    return Meaning("ambiguous", Address(street), ("cross_street",), choices, len(items), front), items


def _only_numbers(items: Sequence[Item], street: Via, rest: Sequence[Item], front: bool) -> Meaning:
    """Street and bare numbers, the street's own number perhaps said in two pieces."""
    own = replace(items[0], via=replace(street, kind=None, name=None), raw=street.number)
    merged = _merge(own, rest[0]) if street.number and not street.letters else None
    if merged is None or rest[0].links:
        return _bare_numbers(street, rest, front)
    joined = replace(merged.via, kind=street.kind)
    if len(rest) == 1:
        plain = Address(joined)
        other = Address(street, _typed_as(rest[0].via, cross_kind(street)))
        return Meaning("ambiguous", plain, ("cross_street",), (write_address(plain), write_address(other)), 2, front)
    as_is = _bare_numbers(street, rest, front)
    if as_is.outcome != "ambiguous":
        return as_is
    return _bare_numbers(joined, rest[1:], front)
