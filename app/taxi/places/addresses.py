"""Reading an address of Barranquilla from what a rider types or says.

``parse_address`` takes a whole sentence and returns one ``Reading``: a plate address, a corner, a place of interest,
something ambiguous with the question to ask, or nothing. Numbers are never invented: what is missing is asked.
Linear in the length of the text; it never raises.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from app.taxi.places.candidates import Candidate, apply_correction, corrections, find_typed, implicit
from app.taxi.places.complements import Complement, complements
from app.taxi.places.gazetteer import Gazetteer, Match, Neighborhood, PlaceMatch
from app.taxi.places.lexicon import words
from app.taxi.places.matching import Hit
from app.taxi.places.meaning import Meaning
from app.taxi.places.questions import ask_about, ask_city, ask_neighborhood, ask_place
from app.taxi.places.spelling import repair
from app.taxi.places.tokens import Token, tokenize
from app.taxi.places.vias import Address, write_address

Status = Literal["address", "corner", "place", "ambiguous", "not_an_address"]
_TOWARDS: Final = words("a al para pa hasta hacia ir voy vamos")
_MAX_LENGTH: Final = 20_000


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says about a place.

    Attributes:
        status: kind of reading.
        address: canonical form, or the name of a place of interest.
        neighborhood: name, when the text names exactly one (after the city, if it names one).
        zone: localidad of that neighbourhood.
        city: municipality, named or implied by an unambiguous neighbourhood or place.
        detail: complements for the driver ("Apto 302, Torre 2").
        ask: question for the rider when something is missing or ambiguous.
        choices: what to choose from.
        missing: of "cross_street", "plate", "street", "neighborhood", "city".
        spans: spans of the original text that were used.
        parsed: the structured address, also of an ambiguous one as far as it is known.
        candidates: the neighbourhoods the text may name, when there are several.
    """

    status: Status
    address: str | None = None
    neighborhood: str | None = None
    zone: str | None = None
    city: str | None = None
    detail: str | None = None
    ask: str | None = None
    choices: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    parsed: Address | None = None
    candidates: tuple[Neighborhood, ...] = ()


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """City, neighbourhood and complements around an address."""

    city: str | None
    barrios: tuple[Neighborhood, ...]
    details: tuple[Complement, ...]
    spans: tuple[tuple[int, int], ...]


def parse_address(text: str, gazetteer: Gazetteer) -> Reading:
    """Read the address a rider means.

    Args:
        text: a whole sentence, typed or from a recogniser.
        gazetteer: the known places.

    Returns:
        One reading. Of several addresses the first complete one counts, and one that corrects another replaces it.
    """
    tokens = repair(tokenize(text[:_MAX_LENGTH]))
    candidate, choices = _street_candidate(tokens, gazetteer)
    if candidate is not None:
        if _locates_nothing(candidate) and not choices:
            place = _place_beside(tokens, candidate, gazetteer)
            if place is not None:
                return _of_place([place], _surroundings(text, tokens, _tokens_of(tokens, place), gazetteer), gazetteer)
        return _street_reading(text, tokens, candidate, choices, gazetteer)
    return _place_reading(text, tokens, gazetteer)


def parse_addresses(text: str, gazetteer: Gazetteer) -> list[Reading]:
    """Read every street address of a text (origin and destination in one sentence), without places and corrections.

    Args:
        text: a whole sentence.
        gazetteer: the known places.

    Returns:
        Readings in the order of the text; neighbourhood, city and complements are those said before the next address.
    """
    tokens = repair(tokenize(text[:_MAX_LENGTH]))
    found = find_typed(tokens)
    out = []
    for number, candidate in enumerate(found):
        end = tokens[found[number + 1].first].start if number + 1 < len(found) else len(text)
        begin = tokens[candidate.first].start
        reading = parse_address(text[begin:end], gazetteer)
        out.append(replace(reading, spans=tuple((a + begin, b + begin) for a, b in reading.spans)))
    return out


def _street_candidate(tokens: Sequence[Token], gazetteer: Gazetteer) -> tuple[Candidate | None, tuple[str, ...]]:
    """The street address meant, and readings to choose from when its kind was left out."""
    found = find_typed(tokens)
    solid = [
        c for c in found if c.complete or c.meaning.address.street.number or c.meaning.address.street.kind != "Avenida"
    ]
    marks = corrections(tokens)
    chosen: Candidate | None = None
    for candidate in solid or found:
        if chosen is None:
            chosen = candidate
        elif _any_between(marks, chosen.after, candidate.first):
            chosen = _replace(chosen, candidate)
        elif chosen.complete and candidate.complete and _only_or(tokens, chosen.after, candidate.first):
            return chosen, tuple(write_address(one.meaning.address) for one in (chosen, candidate))
        elif not chosen.complete and candidate.complete:
            chosen = candidate
    if chosen is None or (not chosen.complete and not chosen.meaning.address.street.number):
        pair = _settle(list(implicit(tokens)), gazetteer)
        if len(pair) == 1:
            chosen = pair[0]
        elif pair and chosen is None:
            choices = tuple(
                dict.fromkeys(
                    text for one in pair for text in (one.meaning.choices or (write_address(one.meaning.address),))
                )
            )
            return pair[0], choices
    if chosen is not None:
        chosen = _known_street(chosen, gazetteer)
        for mark in marks:
            if mark >= chosen.after:
                changed = apply_correction(chosen, tokens, mark)
                if changed is not None:
                    chosen = changed
    return chosen, ()


def _any_between(sorted_marks: Sequence[int], low: int, high: int) -> bool:
    position = bisect_left(sorted_marks, low)
    return position < len(sorted_marks) and sorted_marks[position] <= high


def _only_or(tokens: Sequence[Token], first: int, after: int) -> bool:
    """Whether the rider hesitates between two addresses."""
    between = [token.text for token in tokens[first:after] if token.kind == "word"]
    return bool(between) and between[0] == "o" and set(between) <= {"o", "la", "el", "en", "de"}


def _settle(candidates: Sequence[Candidate], gazetteer: Gazetteer) -> Sequence[Candidate]:
    """Of a corner whose kinds were left out, keep the reading that the city's grid allows, when there is only one."""

    def reach(candidate: Candidate, margin: int) -> bool:
        address = candidate.meaning.address
        for via in (address.street, address.cross):
            if via is not None and via.letters and not gazetteer.has_street(f"{via.kind} {via.number}{via.letters}"):
                return False
        if address.cross is None or not address.cross.number:
            return True
        street, cross = int(address.street.number), int(address.cross.number)
        carrera, calle = (street, cross) if address.street.kind == "Carrera" else (cross, street)
        return gazetteer.crosses(carrera, calle, margin=margin)

    near = [candidate for candidate in candidates if reach(candidate, 3)]
    possible = [candidate for candidate in candidates if reach(candidate, 8)]
    return near if len(near) == len(possible) == 1 else candidates


def _known_street(candidate: Candidate, gazetteer: Gazetteer) -> Candidate:
    """Settle "Carrera 42B 1" by a street known to exist, since plates hardly have one digit."""
    known = [
        address
        for address in candidate.meaning.rivals
        if any(
            via is not None and via.letters[1:].isdigit() and gazetteer.has_street(str(via))
            for via in (address.street, address.cross)
        )
    ]
    if len(known) != 1:
        return candidate
    outcome: Literal["address", "corner"] = "corner" if known[0].plate is None else "address"
    return replace(
        candidate, meaning=replace(candidate.meaning, outcome=outcome, address=known[0], choices=(), missing=())
    )


def _replace(before: Candidate, after: Candidate) -> Candidate:
    """A corrected address; when only the street was said again, its cross street and plate are asked."""
    old, new = before.meaning.address, after.meaning.address
    if new.cross is None and old.cross is not None and old.plate is None and new.street.kind == old.cross.kind:
        corner = Meaning("corner", replace(old, cross=new.street, between=None), after=after.after)
        return Candidate(corner, before.first, after.after)
    if after.complete or old.cross is None or new.cross is not None or after.meaning.choices:
        return after
    combined = write_address(replace(old, street=new.street))
    return Candidate(replace(after.meaning, choices=(combined,)), after.first, after.after)


def _surroundings(text: str, tokens: list[Token], used: frozenset[int], gazetteer: Gazetteer) -> _Surroundings:
    found_city = gazetteer.city_in(tokens, masked=used)
    masked = used | (_of_city(tokens, found_city) if found_city else frozenset())
    city = found_city.entry if found_city else None
    matches = gazetteer.neighborhoods_in(tokens, city=city, masked=masked)
    matches = _leading_matches(_not_taken_back(matches, tokens))
    spans = [(match.start, match.end) for match in matches[:1]]
    if found_city is not None:
        spans.append((tokens[found_city.first].start, tokens[found_city.after - 1].end))
    taken = masked | frozenset(
        i for i, token in enumerate(tokens) for a, b in spans if token.start >= a and token.end <= b
    )
    details = tuple(complements(text, tokens, taken))
    return _Surroundings(city, tuple(match.neighborhood for match in matches), details, tuple(spans))


def _of_city(tokens: Sequence[Token], city: Hit[str]) -> frozenset[int]:
    """Positions of a municipality with the "de" or "en" before it: "el Carmen de Barranquilla"."""
    linked = city.first > 0 and tokens[city.first - 1].text in {"de", "en"}
    return frozenset(range(city.first - linked, city.after))


def _not_taken_back(matches: list[Match], tokens: Sequence[Token]) -> list[Match]:
    """Leave out what a correction between two names takes back: "Villa Campestre, no, Villa Santos"."""
    for mark in corrections(tokens):
        if mark < len(tokens):
            later = [match for match in matches if match.start >= tokens[mark].start]
            matches = later or matches
    return matches


def _leading_matches(matches: list[Match]) -> list[Match]:
    """The best match and those of the same span."""
    if not matches:
        return []
    best = matches[0]
    return [match for match in matches if (match.start, match.end) == (best.start, best.end)]


def _one_barrio(barrios: Sequence[Neighborhood]) -> tuple[str | None, str | None, str | None]:
    """Name, zone and city, as far as the matches agree."""
    if not barrios:
        return None, None, None
    names = {barrio.name for barrio in barrios}
    cities = {barrio.city for barrio in barrios}
    zones = {barrio.zone for barrio in barrios}
    if len(names) > 1 or len(cities) > 1:
        return None, None, None
    return barrios[0].name, barrios[0].zone if len(zones) == 1 else None, barrios[0].city


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _locates_nothing(candidate: Candidate) -> bool:
    """Whether only a street, or a kilometre of no street, is known."""
    meaning = candidate.meaning
    return not candidate.complete and not meaning.choices and meaning.address.cross is None


def _place_beside(tokens: list[Token], candidate: Candidate, gazetteer: Gazetteer) -> PlaceMatch | None:
    """The one place of interest that locates a street without number ("Vía 40, entrada Monómeros").

    A place that the rider goes to ("para el aeropuerto") does not.
    """
    used = frozenset(range(candidate.first, candidate.after))
    places = gazetteer.places_in(tokens, masked=used)
    if len({match.place.name for match in places}) != 1:
        return None
    first = next(i for i, token in enumerate(tokens) if token.start == places[0].start)
    before = [token.text for token in tokens[max(0, first - 3) : first]]
    while before and before[-1] in {"la", "el"}:
        before.pop()
    if before and before[-1] in _TOWARDS and not {"frente", "entrada", "lado", "junto", "diagonal"} & set(before):
        return None
    return places[0]


def _tokens_of(tokens: Sequence[Token], place: PlaceMatch) -> frozenset[int]:
    return frozenset(i for i, token in enumerate(tokens) if place.start <= token.start < place.end)


def _street_reading(
    text: str, tokens: list[Token], candidate: Candidate, choices: tuple[str, ...], gazetteer: Gazetteer
) -> Reading:
    used = frozenset(range(candidate.first, candidate.after))
    around = _surroundings(text, tokens, used, gazetteer)
    meaning = candidate.meaning
    name, zone, city = _one_barrio(around.barrios)
    span = (tokens[candidate.first].start, tokens[candidate.after - 1].end)
    detail = ", ".join(_unique(one.text for one in around.details)) or None
    if meaning.front and detail is None:
        detail = "Frente"
    options = choices or meaning.choices
    ambiguous = meaning.outcome == "ambiguous" or bool(choices)
    missing = list(meaning.missing)
    if choices:
        missing = ["street"]
    ask = ask_about(meaning, choices) if ambiguous else None
    if len(around.barrios) > 1 and name is None:
        missing.append("city" if around.city is None else "neighborhood")
        if ask is None:
            ask = ask_neighborhood(around.barrios)
            options = _unique(barrio.city for barrio in around.barrios)
    return Reading(
        status="ambiguous" if ambiguous else meaning.outcome,
        address=None if ambiguous else write_address(meaning.address),
        neighborhood=name,
        zone=zone,
        city=around.city or city,
        detail=detail,
        ask=ask,
        choices=options,
        missing=tuple(missing),
        spans=tuple(sorted({span, *around.spans, *_spans_of(around.details, tokens)})),
        parsed=None if choices else meaning.address,
        candidates=around.barrios if len(around.barrios) > 1 else (),
    )


def _spans_of(details: Sequence[Complement], tokens: Sequence[Token]) -> list[tuple[int, int]]:
    return [(tokens[one.first].start, tokens[one.after - 1].end) for one in details]


def _place_reading(text: str, tokens: list[Token], gazetteer: Gazetteer) -> Reading:
    """A place of interest, a neighbourhood alone, or nothing."""
    places = gazetteer.places_in(tokens)
    covered = {index for place in places for index in range(place.start, place.end)}
    used = frozenset(i for i, token in enumerate(tokens) if token.start in covered)
    around = _surroundings(text, tokens, used, gazetteer)
    if places:
        return _of_place(places, around, gazetteer)
    name, zone, city = _one_barrio(around.barrios)
    detail = ", ".join(_unique(one.text for one in around.details)) or None
    several = len(around.barrios) > 1 and name is None
    block = _block_address(around)
    if block is not None:
        spans = tuple(sorted({*around.spans, *((tokens[one.first].start, tokens[one.after - 1].end) for one in block)}))
        rest = ", ".join(_unique(one.text for one in around.details if one not in block)) or None
        return Reading(
            "address" if name else "ambiguous",
            address=" ".join(one.text for one in block) if name else None,
            neighborhood=name,
            zone=zone,
            city=around.city or city,
            detail=rest if name else detail,
            ask=None if name else ask_neighborhood(around.barrios),
            choices=_unique(barrio.city for barrio in around.barrios) if several else (),
            missing=() if name else ("neighborhood",),
            spans=spans,
            candidates=around.barrios if several else (),
        )
    return Reading(
        status="not_an_address",
        neighborhood=name,
        zone=zone,
        city=around.city or city,
        detail=detail,
        ask=ask_neighborhood(around.barrios) if several else ask_place(name, around.city),
        choices=_unique(barrio.city for barrio in around.barrios) if several else (),
        missing=("city",) if several else (),
        spans=tuple(sorted(around.spans)),
        candidates=around.barrios if len(around.barrios) > 1 else (),
    )


def _block_address(around: _Surroundings) -> list[Complement] | None:
    """Find "Manzana C, Casa 5": how neighbourhoods without numbered streets write an address."""
    block = [one for one in around.details if one.text.startswith("Manzana ")]
    lot = [one for one in around.details if one.text.startswith(("Casa ", "Lote "))]
    return [block[0], lot[0]] if block and lot else None


def _of_place(places: Sequence[PlaceMatch], around: _Surroundings, gazetteer: Gazetteer) -> Reading:
    names = _unique(match.place.name for match in places)
    spans = tuple(sorted({*((match.start, match.end) for match in places), *around.spans}))
    detail = ", ".join(_unique(one.text for one in around.details)) or None
    if len(names) > 1:
        return Reading("ambiguous", ask=ask_city(names), choices=names, missing=("street",), spans=spans, detail=detail)
    place = places[0].place
    name, zone, city = _one_barrio(around.barrios)
    if city != place.city:
        name, zone = None, None  # the rider's other end of the ride, or not certain
    if place.neighborhood is not None:
        name, zone = place.neighborhood, gazetteer.zone_of(place.neighborhood, place.city)
    return Reading(
        "place", address=place.name, neighborhood=name, zone=zone, city=place.city, detail=detail, spans=spans
    )
