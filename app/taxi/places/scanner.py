"""Collecting the pieces of one address: items and the words that link them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from app.taxi.places.items import (
    BETWEEN_WORDS,
    CORNER_WORDS,
    DASH_WORDS,
    FRONT_WORDS,
    Item,
    is_number_mark,
    read_corridor,
    read_item,
    read_km,
    read_typed,
    word_at,
)
from app.taxi.places.lexicon import words
from app.taxi.places.numerals import ORDINALS
from app.taxi.places.tokens import Token
from app.taxi.places.vias import KINDS, KM_WORDS

_ARTICLES: Final = frozenset(["la", "el", "las", "los"])
_FILLERS: Final = words("eh este pues mmm em emm ehh ah digamos osea hm mm bueno")
_AFTER_FRONT: Final = words("al a predio casa numero de del")
_MAX_LINKS: Final = 8
_MAX_ITEMS: Final = 9
_SIGN_LINKS: Final = {
    "#": "#",
    "-": "-",
    "/": "-",
    "+": "+",
    "&": "con",
    "°": "",
    ".": "",
    ",": "",
    ";": "",
    "(": "",
    ")": "",
    "*": "",
    "_": "-",
}


def _read_links(tokens: Sequence[Token], index: int, *, first: bool) -> tuple[set[str], int] | None:
    """Words and signs between two items; None when the address ends here."""
    links: set[str] = set()
    steps = 0
    while index < len(tokens) and steps < _MAX_LINKS:
        token = tokens[index]
        word = token.text
        if token.kind == "number" or (token.kind == "word" and (word in KM_WORDS or word in ORDINALS)):
            return links, index
        if token.kind == "phone":
            return None
        if token.kind == "sign":
            if word not in _SIGN_LINKS:
                return None
            if _SIGN_LINKS[word]:
                links.add(_SIGN_LINKS[word])
        elif is_number_mark(tokens, index):
            links.add("#")
        elif word in CORNER_WORDS:
            links.add("con")
        elif word in KINDS or read_corridor(tokens, index, bare=True) is not None:
            return links, index
        elif word == "y":
            links.add("y")
        elif word in BETWEEN_WORDS:
            links.add("entre")
        elif word in FRONT_WORDS:
            links.add("frente")
        elif word in DASH_WORDS:
            links.add("-")
        elif (word == "por" and _typed_ahead(tokens, index + 1)) or (
            word == "en" and _typed_ahead(tokens, index + 1) and not first
        ):
            links.add("con")
        elif (
            (word in _ARTICLES and (links or _typed_ahead(tokens, index)))
            or (word in {"de", "del"} and links & {"con", "entre", "frente"})
            or (word in _AFTER_FRONT and "frente" in links)
            or word in _FILLERS
        ):
            pass
        else:
            return None
        index += 1
        steps += 1
    return None


def _typed_ahead(tokens: Sequence[Token], index: int) -> bool:
    """Whether a street word stands here, perhaps after an article."""
    if word_at(tokens, index) in _ARTICLES:
        index += 1
    return word_at(tokens, index) in KINDS or read_corridor(tokens, index, bare=True) is not None


def _plate_done(items: Sequence[Item]) -> bool:
    """Whether street, generator and plate are there, the plate tied by a dash."""
    if len(items) < 3 or not items[-1].bare:
        return False
    return "-" in items[-1].links and not items[-2].spoken


def collect(tokens: Sequence[Token], index: int, *, glue: frozenset[int]) -> list[Item]:
    """Read the items of the address that begins at a token.

    Args:
        tokens: the text.
        index: where a street kind, a corridor's name, a kilometre mark or a bare number stands.
        glue: see ``read_ident``.

    Returns:
        The items in order, empty when no address begins here.
    """
    before = word_at(tokens, index - 1)
    if before in _ARTICLES:
        before = word_at(tokens, index - 2)
    route = before in {"de", "desde"}
    if read_km(tokens, index) is None and tokens[index].kind == "word":
        item = read_typed(tokens, index, glue=glue, route=route)
    else:
        item = read_item(tokens, index, glue=glue)
    items: list[Item] = []
    while item is not None and len(items) < _MAX_ITEMS:
        items.append(item)
        if _plate_done(items):
            break
        linked = _read_links(tokens, item.after, first=len(items) == 1)
        if linked is None:
            break
        links, position = linked
        if position == item.after and tokens[position].kind == "word" and word_at(tokens, position) in ORDINALS:
            break
        item = read_item(tokens, position, glue=glue)
        if item is not None:
            if item.typed and len(items) >= 3 and all(known.bare for known in items[1:]) and "y" not in links:
                break  # a plate is complete: this is another address
            item = replace(item, links=frozenset(links))
    return items
