"""Finding the addresses in a text: where they begin, which reading of digits holds, what is taken back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

from app.taxi.places.items import Item
from app.taxi.places.lexicon import words
from app.taxi.places.meaning import Meaning, interpret
from app.taxi.places.scanner import collect
from app.taxi.places.tokens import Token
from app.taxi.places.vias import CORRIDORS, KINDS, KM_WORDS, Address, Via, cross_kind, write_address

_MAX_CANDIDATES: Final = 30
_NOT_A_CORRIDOR_AFTER: Final = words("barrio clinica bella villas villa urbanizacion sector colegio parque edificio")
_CORRECTIONS: Final = words(
    "sino mentira miento perdon digo corrijo perdone perdona equivoque disculpa disculpe rectifico"
)
_CORRECTION_PAIRS: Final = frozenset(
    {("mejor", "dicho"), ("quise", "decir"), ("no", "mejor"), ("no", "no"), ("no", "espere"), ("no", "espera"),
     ("o", "sea"), ("me", "equivoque"), ("no", "es"), ("es", "decir")}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """An address found in a text.

    Attributes:
        meaning: what it says.
        first: index of its first token.
        after: index after its last token.
    """

    meaning: Meaning
    first: int
    after: int

    @property
    def complete(self) -> bool:
        """Whether a taxi can go there."""
        return self.meaning.outcome != "ambiguous"


def best_reading(tokens: Sequence[Token], index: int, start: Item | None = None) -> Candidate | None:
    """Read the address at a token, trying both readings of digits after letters.

    Args:
        tokens: the text.
        index: where it begins.
        start: put in place of the first item (a street whose kind was not said).

    Returns:
        The most complete reading; None when no address begins there.
    """

    def attempt(glue: frozenset[int]) -> tuple[Meaning, list[Item]] | None:
        items = collect(tokens, index, glue=glue)
        if not items:
            return None
        if start is not None:
            items = [replace(items[0], via=replace(items[0].via, kind=start.via.kind)), *items[1:]]
        return interpret(items), items

    plain = attempt(frozenset())
    if plain is None:
        return None
    items = plain[1]
    open_digits = [position for item in items for position in item.choices][:3]
    chosen = plain
    if open_digits:
        glued = [
            found
            for size in range(1, len(open_digits) + 1)
            for positions in combinations(open_digits, size)
            if (found := attempt(frozenset(positions))) is not None
        ]
        spoken = any(tokens[position].spoken for position in open_digits)
        chosen = _choose(plain, glued, spoken=spoken, trailing=items[-1].after - 1 == open_digits[-1])
    return Candidate(chosen[0], index, chosen[0].after)


def _choose(
    plain: tuple[Meaning, list[Item]], glued: list[tuple[Meaning, list[Item]]], *, spoken: bool, trailing: bool
) -> tuple[Meaning, list[Item]]:
    """The complete reading if there is one; a choice for the rider if there are two."""
    complete = [found for found in glued if found[0].outcome != "ambiguous" and found[0].after == found[1][-1].after]
    meaning, items = plain
    whole = meaning.outcome != "ambiguous" and meaning.after == items[-1].after
    if not whole:
        if complete:
            return complete[0]
        return plain if meaning.outcome != "ambiguous" else max([plain, *glued], key=lambda f: len(f[0].missing) == 1)
    if not trailing:
        return plain
    rivals = [found[0].address for found in (complete or (glued if spoken else ()))]
    if not rivals:
        return plain
    both = tuple(dict.fromkeys((meaning.address, *rivals)))[:4]
    choices = tuple(write_address(address) for address in both)
    return replace(meaning, outcome="ambiguous", choices=choices, missing=("plate",), rivals=both), items


def _may_begin(tokens: Sequence[Token], index: int) -> bool:
    token = tokens[index]
    if token.kind != "word":
        return False
    if token.text in KINDS or token.text in KM_WORDS:
        return True
    if token.text not in CORRIDORS:
        return False
    back = index - 1
    while back >= 0 and tokens[back].text in {"de", "del", "la", "el"}:
        back -= 1
    return back < 0 or tokens[back].text not in _NOT_A_CORRIDOR_AFTER


def find_typed(tokens: Sequence[Token]) -> list[Candidate]:
    """All addresses whose street says its kind or name, in order, never overlapping."""
    found: list[Candidate] = []
    index = 0
    while index < len(tokens) and len(found) < _MAX_CANDIDATES:
        candidate = best_reading(tokens, index) if _may_begin(tokens, index) else None
        if candidate is None:
            index += 1
        else:
            found.append(candidate)
            index = max(candidate.after, index + 1)
    return found


def corrections(tokens: Sequence[Token]) -> list[int]:
    """Indices after words that take back what was said: "perdón", "digo", "mejor dicho", "no,"."""
    marks = []
    for index, token in enumerate(tokens):
        if token.kind != "word":
            continue
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        word = following.text if following is not None else ""
        if token.text in _CORRECTIONS:
            marks.append(index + 1)
        elif (token.text, word) in _CORRECTION_PAIRS:
            marks.append(index + 2)
        elif token.text in {"no", "sino"} and following is not None and (
            (word in {",", "."} and not _numbered_after(tokens, index + 1)) or word in KINDS or word == "la"
        ):  # fmt: skip
            marks.append(index + 1)
    return marks


def _numbered_after(tokens: Sequence[Token], index: int) -> bool:
    """Tell "no. 43", a number mark, from "no, 43", which takes something back."""
    return tokens[index].text == "." and index + 1 < len(tokens) and tokens[index + 1].kind == "number"


def _bare_after(tokens: Sequence[Token], mark: int) -> list[Item]:
    """Bare numbers right after a correction: "perdón, 43-35"."""
    index = mark
    links: set[str] = set()
    while index < len(tokens) and index < mark + 5:
        token = tokens[index]
        if token.kind == "number":
            items = collect(tokens, index, glue=frozenset())
            if items and links:
                items = [replace(items[0], links=frozenset(links)), *items[1:]]
            return items
        if token.text in {"con", "#", "numero", "no"}:
            links.add("con" if token.text == "con" else "#")
        elif token.text not in {",", ".", "la", "el", "que", "es", "era", "no", "perdon", ":", "en", "eh", "espere"}:
            break
        index += 1
    return []


def apply_correction(before: Candidate, tokens: Sequence[Token], mark: int) -> Candidate | None:
    """Change an address by bare numbers that follow a correction.

    Args:
        before: the address said first.
        tokens: the text.
        mark: index after the word that takes it back.

    Returns:
        The corrected address; None when no number follows.
    """
    items = _bare_after(tokens, mark)
    typed = any(item.typed or item.km for item in items)
    if not items or (typed and not (items[0].bare and len(items) > 1 and items[1].typed)):
        return None
    old = before.meaning.address
    anchor = Item(old.street, 0, 0, 0)
    if _says_street_again(items, old):
        if not old.street.number:
            return None
        head = replace(items[0], via=replace(items[0].via, kind=old.street.kind), links=frozenset())
        meaning = interpret([head, *items[1:]])
    elif len(items) == 2:
        meaning = interpret([anchor, replace(items[0], links=frozenset({"#"})), items[1]])
    elif old.plate is not None and items[0].digits_only and not items[0].links:
        meaning = Meaning("address", replace(old, plate=items[0].raw))  # what was said last is taken back
    else:
        meaning = interpret([anchor, replace(items[0], links=items[0].links or frozenset({"con"}))])
    return Candidate(meaning, before.first, items[-1].after)


def _says_street_again(items: Sequence[Item], old: Address) -> bool:
    """Whether bare numbers begin with the street itself ("no, 81 #20-15") and not with what crosses it ("43-35")."""
    if len(items) == 1:
        return old.cross is None and not items[0].links
    if len(items) == 2 and "-" in items[1].links:
        return False
    crossing = items[1].typed or bool(items[1].links & {"con", "#", "entre"})
    return len(items) > 2 or crossing or (old.cross is None and not items[0].links)


def implicit(tokens: Sequence[Token]) -> Iterator[Candidate]:
    """Corners and plates whose street kind was left out: "la 72 con 43", "72 #43-25"."""
    attempts = 0
    for index, token in enumerate(tokens):
        if token.kind != "number" or len(token.text) > 3 or token.text.startswith("0"):
            continue
        attempts += 1
        if attempts > _MAX_CANDIDATES:
            return
        items = collect(tokens, index, glue=frozenset())
        if len(items) < 2 or not items[1].links & {"con", "#", "entre", "y"}:
            continue
        article = index > 0 and tokens[index - 1].text in {"la", "el"}
        big = len(items[0].via.number) > 1 or bool(items[0].via.letters)
        if items[1].links & {"y"} and not ({"con", "entre"} & items[1].links) and not article:
            continue
        if not article and not big and "#" not in items[1].links:
            continue
        yield from _implied(tokens, index, items)
        return


def _implied(tokens: Sequence[Token], index: int, items: Sequence[Item]) -> Iterator[Candidate]:
    """One reading if the cross street says its kind, else both."""
    other = items[1].via
    kinds: tuple[str, ...] = ("Calle", "Carrera")
    if items[1].typed:
        known = cross_kind(other)
        if known in kinds:
            kinds = (known,)
        elif other.kind in kinds:
            kinds = tuple(kind for kind in kinds if kind != other.kind)
    for kind in kinds:
        found = best_reading(tokens, index, Item(Via(kind), 0, 0, 0))
        if found is not None:
            yield found
