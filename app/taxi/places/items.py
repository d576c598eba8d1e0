"""Reading one piece of an address at a token: a street, a bare number or a kilometre mark."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from app.taxi.places.lexicon import words
from app.taxi.places.numerals import ORDINALS, read_letters
from app.taxi.places.tokens import Token
from app.taxi.places.vias import (
    BIS_WORDS,
    CORRIDOR_KINDS,
    CORRIDORS,
    KINDS,
    KM_WORDS,
    NUMBER_MARKS,
    QUADRANTS,
    WEAK_KINDS,
    Via,
    street_number,
)

UNIT_NOUNS: Final = words(
    "persona personas pasajero pasajeros maleta maletas minuto minutos min mins hora horas hrs am pm a.m mil "
    "peso pesos metro metros mt mts m cuadra cuadras nino ninos nina ninas adulto adultos mascota mascotas "
    "perro perros perrito gato gatos taxis carros bolsa bolsas caja cajas bulto bultos bicicleta "
    "bicicletas amigos amigas puestos dia dias semanas anos veces vez lucas barras km kilometros "
    "segundos silla sillas millones cosas paquete paquetes pisos esquinas casas ocupantes viajeros morral "
    "morrales bebe bebes senoras senores hijos hijas equipajes"
)
"""Nouns that make the number before them a count, not part of an address."""
CORNER_WORDS: Final = words("con esquina esq cruce interseccion cruza cruzando x cn with")
DASH_WORDS: Final = frozenset(["guion", "raya", "menos", "placa"])
FRONT_WORDS: Final = frozenset(["frente", "frebte", "freten", "enfrente"])
BETWEEN_WORDS: Final = frozenset(["entre", "entrre", "ente"])
_PLACE_BEFORE_LETTER: Final = words(
    "torre bloque apto apartamento casa manzana mz lote local interior piso etapa bodega tipo vitamina clase "
    "sala puerta"
)
_MONTHS: Final = words("enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre")
_MONEY: Final = words("mil peso pesos lucas barras millones")
_MAX_STREET: Final = 250


@dataclass(frozen=True, slots=True)
class Item:
    """A street, a bare number or a kilometre mark of an address.

    Attributes:
        via: the street; ``kind`` None and no name for a bare number.
        links: what stands before it: "#", "-", "con", "y", "entre", "frente", "+".
        spoken: the number came in words.
        raw: digits as written (a plate keeps its zeros).
        km: kilometre mark, when the item is one.
        start: first index in the text.
        end: index after it in the text.
        after: index of the token after it.
        choices: indices of digit tokens after a letter that could be read either way ("42B 5").
    """

    via: Via
    start: int
    end: int
    after: int
    links: frozenset[str] = frozenset()
    spoken: bool = False
    raw: str = ""
    km: str | None = None
    choices: tuple[int, ...] = ()

    @property
    def typed(self) -> bool:
        """Whether the kind of street or its name was said."""
        return self.via.kind is not None or self.via.name is not None

    @property
    def bare(self) -> bool:
        """Whether it is only a number (with letters)."""
        return not self.typed and self.km is None

    @property
    def digits_only(self) -> bool:
        """Whether it could be a plate."""
        return self.bare and not self.via.letters and not self.via.bis and self.via.quadrant is None


def word_at(tokens: Sequence[Token], index: int) -> str:
    """Return the word at an index, "" when there is none."""
    return tokens[index].text if 0 <= index < len(tokens) and tokens[index].kind == "word" else ""


def _is_number(tokens: Sequence[Token], index: int) -> bool:
    return 0 <= index < len(tokens) and tokens[index].kind == "number"


def _closes(tokens: Sequence[Token], index: int) -> bool:
    """Whether what stands at ``index`` may follow a street number with its letter."""
    if index >= len(tokens):
        return True
    token = tokens[index]
    if token.kind == "number":
        return word_at(tokens, index + 1) not in UNIT_NOUNS
    if token.kind == "sign":
        return True
    word = token.text
    return (
        word in KINDS
        or word in NUMBER_MARKS
        or word in CORNER_WORDS
        or word in BETWEEN_WORDS
        or word in DASH_WORDS
        or word in QUADRANTS
        or word in BIS_WORDS
        or word in FRONT_WORDS
        or (word == "y" and (_is_number(tokens, index + 1) or word_at(tokens, index + 1) in KINDS))
    )


def is_number_mark(tokens: Sequence[Token], index: int) -> bool:
    """Whether a word such as "no" or "n" stands for #: a number must follow, perhaps after a point or a ring."""
    word = word_at(tokens, index)
    if word not in NUMBER_MARKS:
        return False
    after = index + 1
    while after < len(tokens) and tokens[after].kind == "sign" and tokens[after].text in ".°#:" and after < index + 4:
        after += 1
    return _is_number(tokens, after)


def _read_letter_part(tokens: Sequence[Token], index: int, after_route_word: bool) -> tuple[str, int] | None:
    """Letters after a street number, without digits."""
    word = word_at(tokens, index)
    if not word:
        return None
    if tokens[index].glued:
        if len(word) == 1 and word != "y":
            return word.upper(), index + 1
        if len(word) == 2 and word.isascii() and word not in QUADRANTS and word not in {"no", "am", "pm", "mt", "km"}:
            strong = word in KINDS and word not in {"ca", "ka"}
            return None if strong else (word.upper(), index + 1)
        return None
    read = read_letters([word_at(tokens, index), word_at(tokens, index + 1), word_at(tokens, index + 2)])
    if read is None:
        return None
    letters, used = read
    after = index + used
    if word == "n" and is_number_mark(tokens, index):
        return None
    if word == "k" and _is_number(tokens, after):
        return None
    if word == "x" and (_is_number(tokens, after) or word_at(tokens, after) in KINDS | {"la": ""}):
        return None
    if word == "a" and after_route_word and word_at(tokens, after) in KINDS:
        return None
    certain = len(word) == 1 and word not in "adekqx"
    return (letters, after) if certain or _closes(tokens, after) else None


def read_ident(
    tokens: Sequence[Token], index: int, *, glue: frozenset[int], after_route_word: bool = False
) -> tuple[Via, int, tuple[int, ...], str] | None:
    """Read a street number with letters, bis and quadrant.

    Args:
        tokens: the text.
        index: where the number stands.
        glue: indices of digits that stand apart after a letter and are to be read as part of the street number
            ("42 b 1" as 42B1).
        after_route_word: the street was announced by "de" or "desde", so a following "a" leads to the destination.

    Returns:
        The via without kind, the next index, digits that ``glue`` may claim, the digits as written; None when
        no number stands there.
    """
    if not _is_number(tokens, index):
        ordinal = ORDINALS.get(word_at(tokens, index))
        if ordinal is None:
            return None
        raw = str(ordinal)
    else:
        raw = tokens[index].text
    after = index + 1
    letters = ""
    choices: tuple[int, ...] = ()
    if after < len(tokens) and tokens[after].text == "°" and tokens[after].glued and word_at(tokens, after + 1):
        after += 1
    read = _read_letter_part(tokens, after, after_route_word)
    if read is not None:
        letters, after = read
        if _is_number(tokens, after):
            token = tokens[after]
            value = token.text
            if token.glued and not token.spoken and len(value) <= 2 and (value[0] != "0" and int(value) <= 10):
                letters, after = letters + value, after + 1
            elif _may_be_suffix(tokens, after):
                choices = (after,)
                if after in glue:
                    letters, after = letters + value, after + 1
    bis, bis_letters = False, ""
    if word_at(tokens, after) in BIS_WORDS:
        bis, after = True, after + 1
        more = _read_letter_part(tokens, after, after_route_word)
        if more is not None:
            bis_letters, after = more
    quadrant = QUADRANTS.get(word_at(tokens, after))
    if quadrant is not None and (
        tokens[after].text in {"sur", "norte"} or (_closes(tokens, after + 1) and not _pauses(tokens, after + 1))
    ):
        after += 1
    else:
        quadrant = None
    via = Via(None, street_number(raw), letters, bis, bis_letters, quadrant)
    return via, after, choices, raw


def _may_be_suffix(tokens: Sequence[Token], index: int) -> bool:
    """Whether the number at ``index`` may belong to the letter before it: 1 to 9 (said: 10), no letter of its own."""
    value = tokens[index].text
    if value.startswith("0") or len(value) > 2 or int(value) > (10 if tokens[index].spoken else 9):
        return False
    own_letter = index + 1 < len(tokens) and tokens[index + 1].glued and tokens[index + 1].kind == "word"
    return not own_letter and not _counts(tokens, index)


def _pauses(tokens: Sequence[Token], index: int) -> bool:
    """A comma or dots after "este" show the filler word, not the quadrant."""
    return index < len(tokens) and tokens[index].kind == "sign" and tokens[index].text in ",.…"


def _counts(tokens: Sequence[Token], index: int) -> bool:
    """Whether the number at ``index`` counts things or tells a time."""
    following = index + 1
    if following < len(tokens) and tokens[following].text in {":", "%"} and tokens[following].glued:
        return True
    word = word_at(tokens, following)
    if word in _MONTHS or (word == "de" and word_at(tokens, following + 1) in _MONTHS):
        return True  # "20 de julio" is a name or a date
    if word == "p" or word == "a":
        return tokens[following].text + "".join(t.text for t in tokens[following + 1 : following + 3]) in {"p.m", "a.m"}
    return word in UNIT_NOUNS


def read_corridor(tokens: Sequence[Token], index: int, *, bare: bool) -> tuple[Via, int] | None:
    """A street known by its name at ``index``."""
    key = tokens[index].text if index < len(tokens) else ""
    for corridor in CORRIDORS.get(key, ()):
        if bare and not corridor.bare:
            continue
        size = len(corridor.words)
        if all(index + i < len(tokens) and tokens[index + i].text == corridor.words[i] for i in range(size)):
            return corridor.via, index + size
    return None


def read_km(tokens: Sequence[Token], index: int) -> tuple[str, int] | None:
    """A kilometre mark: "km 2,5", "kilómetro 3 + 700"."""
    if word_at(tokens, index) not in KM_WORDS or not _is_number(tokens, index + 1):
        return None
    mark, after = tokens[index + 1].text, index + 2
    if len(mark) > 4:
        return None
    if (
        after + 1 < len(tokens)
        and tokens[after].text in ",."
        and tokens[after + 1].glued
        and _is_number(tokens, after + 1)
    ):
        mark, after = f"{mark},{tokens[after + 1].text}", after + 2
    elif after + 1 < len(tokens) and tokens[after].text == "+" and _is_number(tokens, after + 1):
        mark, after = f"{mark} + {tokens[after + 1].text}", after + 2
    if word_at(tokens, after) in {"mts", "mt", "metros", "m"}:
        after += 1
    return mark, after


def read_typed(tokens: Sequence[Token], index: int, *, glue: frozenset[int], route: bool) -> Item | None:
    """A street whose kind or name is said at ``index``; ``links`` are filled by the caller."""
    token = tokens[index]
    if token.kind != "word":
        return None
    kind = KINDS.get(token.text)
    after = index + 1
    if kind is None:
        corridor = read_corridor(tokens, index, bare=True)
        if corridor is None:
            return None
        return Item(corridor[0], token.start, tokens[corridor[1] - 1].end, corridor[1])
    if word_at(tokens, index - 1) in _PLACE_BEFORE_LETTER and len(token.text) == 1:
        return None
    if kind == "Avenida" and KINDS.get(word_at(tokens, after)) in {"Calle", "Carrera"}:
        kind, after = f"Avenida {KINDS[word_at(tokens, after)]}", after + 1
    elif kind == "Avenida" and word_at(tokens, after) == "via":
        kind, after = "Vía", after + 1
    elif kind in {"Calle", "Carrera", "Vía"} and KINDS.get(word_at(tokens, after)) == kind:
        after += 1
    while after < len(tokens) and tokens[after].text in {".", "la", "el", "es"} and after < index + 4:
        after += 1
    weak = token.text in WEAK_KINDS and after == index + 1
    if kind in CORRIDOR_KINDS and after < len(tokens) and tokens[after].kind in {"word", "number"}:
        for begin in dict.fromkeys((after, index + 1)):
            corridor = read_corridor(tokens, begin, bare=False)
            if corridor is not None and not (kind in {"Calle", "Carrera"} and corridor[0].kind == "Vía"):
                return Item(corridor[0], token.start, tokens[corridor[1] - 1].end, corridor[1])
    if not weak and after < len(tokens) and (tokens[after].text == "#" or is_number_mark(tokens, after)):
        while after < len(tokens) and (tokens[after].text in {"#", ".", "°"} or is_number_mark(tokens, after)):
            after += 1
    ident = read_ident(tokens, after, glue=glue, after_route_word=route)
    if ident is None or int(ident[0].number) > _MAX_STREET or len(ident[3]) > 4:
        return None
    if _is_number(tokens, after) and word_at(tokens, after + 1) in _MONEY:
        return None  # "la carrera 20 mil" is a price
    if not _is_number(tokens, after) and kind not in {"Calle", "Carrera", "Avenida"}:
        return None
    via, after, choices, _ = ident
    return Item(
        replace(via, kind=kind), token.start, tokens[after - 1].end, after, choices=choices,
        spoken=_spoken(tokens, index, after), raw=ident[3],
    )  # fmt: skip


def _spoken(tokens: Sequence[Token], start: int, end: int) -> bool:
    return any(tokens[i].spoken for i in range(start, end))


def read_item(tokens: Sequence[Token], index: int, *, glue: frozenset[int]) -> Item | None:
    """Read whatever piece of an address stands at a token; None when it is none (a count, a time, a telephone)."""
    km = read_km(tokens, index)
    if km is not None:
        return Item(Via(None), tokens[index].start, tokens[km[1] - 1].end, km[1], km=km[0])
    if tokens[index].kind == "number":
        if len(tokens[index].text) > 8 or _counts(tokens, index):
            return None
        ident = read_ident(tokens, index, glue=glue)
        if ident is None:
            return None
        return Item(
            ident[0], tokens[index].start, tokens[ident[1] - 1].end, ident[1],
            spoken=_spoken(tokens, index, ident[1]), raw=ident[3], choices=ident[2],
        )  # fmt: skip
    return read_typed(tokens, index, glue=glue, route=False)
