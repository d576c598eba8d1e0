"""Streets: what a via and an address are, the words for them, and their canonical writing.

Names of corridors: facts of the city collected from the city's open accident data ("Accidentalidad en Barranquilla")
and the press, November 2026.
"""

import re
from dataclasses import dataclass
from typing import Final

from app.taxi.places.lexicon import words


@dataclass(frozen=True, slots=True)
class Via:
    """A street.

    Attributes:
        kind: "Calle", "Carrera", "Avenida", ...; None when only the number is known (cross street of a corridor).
        number: digits without leading zeros, or "" for a street that only has a name.
        letters: "B", "B1", "AA" or "".
        bis: whether "Bis" follows.
        bis_letters: letters after Bis.
        quadrant: "Sur", "Norte", "Este", "Oeste" or None.
        name: name of a corridor ("Circunvalar", "al Mar") or None.
    """

    kind: str | None
    number: str = ""
    letters: str = ""
    bis: bool = False
    bis_letters: str = ""
    quadrant: str | None = None
    name: str | None = None

    @property
    def ident(self) -> str:
        """Number with letters, bis and quadrant: "15A Bis B Sur"."""
        parts = [self.number + self.letters]
        if self.bis:
            parts.append("Bis")
        if self.bis_letters:
            parts.append(self.bis_letters)
        if self.quadrant:
            parts.append(self.quadrant)
        return " ".join(parts)

    def __str__(self) -> str:
        return " ".join(part for part in (self.kind, self.name or self.ident) if part)


@dataclass(frozen=True, slots=True)
class Address:
    """A street with what locates a point on it.

    Attributes:
        street: the street of the address.
        cross: the street it crosses (of a plate address: the generator).
        plate: metres from the corner, digits as given ("05").
        between: the other cross street of a block ("entre Calle 79 y Calle 80").
        quadrant: quadrant written after the plate.
        km: kilometre mark ("2,5" or "3 + 700").
    """

    street: Via
    cross: Via | None = None
    plate: str | None = None
    between: Via | None = None
    quadrant: str | None = None
    km: str | None = None


GRID_OPPOSITE: Final[dict[str, str]] = {
    "Calle": "Carrera",
    "Avenida Calle": "Carrera",
    "Diagonal": "Carrera",
    "Carrera": "Calle",
    "Avenida Carrera": "Calle",
    "Transversal": "Calle",
}
"""What crosses a street of the grid; corridors cross both kinds, so the kind of their cross street is not assumed."""

_KIND_WORDS: Final[dict[str, str]] = {
    "Calle": "calle calles call cll clle cle cl clls cls c ll calla callec calles callle clll clk cell cale",
    "Carrera": "carrera carreras cra cras crr crra cr kr kra krra k ka car cara ca carr carera carrea carreran "
    "ccra craa ccr cres karrera carrrera",
    "Avenida": "avenida avda avd av ave avb avn venida avenuda avenidad avenda avenia",
    "Avenida Calle": "ac",
    "Avenida Carrera": "ak",
    "Diagonal": "diagonal diag diago dg diagonales",
    "Transversal": "transversal transv trasnv transver trasversal tranversal trans trv tv tr transversales",
    "Circular": "circular circ cir cq",
    "Autopista": "autopista autop aut",
    "Vía": "via",
    "Troncal": "troncal",
    "Pasaje": "pasaje",
    "Peatonal": "peatonal",
    "Variante": "variante",
}
KINDS: Final[dict[str, str]] = {word: kind for kind, words in _KIND_WORDS.items() for word in words.split()}
"""Folded word -> kind of street."""
WEAK_KINDS: Final = words(
    "c k ll ca ka cara car calla cell tr ac ave aut cir via trans cale call pasaje circular variante"
)  # fmt: skip
"""Spellings that are also other words: a street only if a number follows at once."""
NUMBER_MARKS: Final = words("# no nro num numero nr n nums numeros numeral numro nmero nunero")
BIS_WORDS: Final = frozenset({"bis"})
QUADRANTS: Final[dict[str, str]] = {
    "sur": "Sur", "norte": "Norte", "este": "Este", "oeste": "Oeste", "occidente": "Oeste", "oriente": "Este",
}  # fmt: skip
KM_WORDS: Final = words("km kms kilometro kilometros kiliometro kilometo cm")


@dataclass(frozen=True, slots=True)
class Corridor:
    """A street known by its name.

    Attributes:
        via: how it is written.
        pattern: folded words, the optional street word in front left out.
        bare: it may be named without a street word in front of it.
    """

    via: Via
    words: tuple[str, ...]
    bare: bool


def _corridor(via: Via, *spellings: str, bare: bool = True) -> list[Corridor]:
    return [Corridor(via, tuple(spelling.split()), bare) for spelling in spellings]


_CIRCUNVALAR: Final = Via("Avenida", name="Circunvalar")
_CORDIALIDAD: Final = Via("Avenida", name="Cordialidad")
_CORRIDORS: Final[list[Corridor]] = [
    *_corridor(_CIRCUNVALAR, "circunvalar", "circunv", "circunvalacion", "circunavalar", "circuanvalar",
               "circunvlar", "circuvalar", "circvunvalar", "cirunvalar", "circuunvalar", "cirvcunvalar", "circunvalr",
               "sircunvalar", "circumbalar", "circunbalar", "circumvalar", "ccv", "cv"),
    *_corridor(_CORDIALIDAD, "cordialidad", "cordialida", "cordialiad", "cordiaidad", "coordialidad",
               "cordialdad"),
    *_corridor(_CORDIALIDAD, "cord", bare=False),
    *_corridor(Via("Avenida", name="Murillo"), "murillo toro", "murillo"),
    *_corridor(Via("Avenida", name="Hamburgo"), "hamburgo", bare=False),
    *_corridor(Via("Avenida", name="del Río"), "del rio", "al rio", bare=False),
    *_corridor(Via("Avenida", name="Olaya Herrera"), "olaya herrera", bare=True),
    *_corridor(Via("Avenida", name="20 de Julio"), "20 de julio", bare=False),
    *_corridor(Via("Avenida", name="La María"), "la maria", bare=False),
    *_corridor(Via("Avenida", name="Los Estudiantes"), "los estudiantes", "de los estudiantes", bare=False),
    *_corridor(Via("Avenida", name="Ciudad Caribe"), "ciudad caribe", bare=False),
    *_corridor(Via("Paseo", name="Bolívar"), "paseo bolivar", "paseo de bolivar"),
    *_corridor(Via("Vía", name="al Mar"), "al mar", bare=False),
    *_corridor(Via("Vía", name="Juan Mina"), "juan mina", "a juan mina", bare=False),
    *_corridor(Via("Vía", name="Galapa"), "galapa", "a galapa", bare=False),
    *_corridor(Via("Vía", name="Puerto Colombia"), "puerto colombia", "a puerto colombia", "puerto", bare=False),
    *_corridor(Via("Vía", name="La Playa"), "la playa", "a la playa", bare=False),
    *_corridor(Via("Vía", name="Oriental"), "oriental", bare=False),
]  # fmt: skip
CORRIDORS: Final[dict[str, list[Corridor]]] = {}
"""First word -> corridors, longest first."""
for _item in sorted(_CORRIDORS, key=lambda corridor: -len(corridor.words)):
    CORRIDORS.setdefault(_item.words[0], []).append(_item)
CORRIDOR_KINDS: Final = words("Avenida Vía Autopista Calle Carrera Troncal")


_CORRIDOR_CROSS: Final = {
    "Murillo": "Carrera",  # Calle 45
    "Bolívar": "Carrera",  # Calle 34
    "Olaya Herrera": "Calle",  # Carrera 46, unverified
    "20 de Julio": "Calle",  # Carrera 43
    "La María": "Calle",  # Carrera 54
    "Los Estudiantes": "Calle",  # Carrera 38
}


def cross_kind(street: Via) -> str | None:
    """Kind of the street that crosses ``street``; None for corridors that cross both kinds."""
    if street.number:
        return GRID_OPPOSITE.get(street.kind or "")
    return _CORRIDOR_CROSS.get(street.name or "")


def write_address(address: Address) -> str:
    """Write an address in its canonical form.

    Args:
        address: what ``parse_address`` leaves in ``Reading.parsed``.

    Returns:
        "Calle 72 #43-25", "Calle 74 con Carrera 38C", "Carrera 42 entre Calle 79 y Calle 80", "Vía Juan Mina Km 7",
        or only the street ("Calle 72") when nothing more is known.
    """
    street = str(address.street)
    if address.km is not None:
        return f"{street} Km {address.km}"
    if address.cross is None:
        return street
    if address.plate is not None:
        tail = f" {address.quadrant}" if address.quadrant else ""
        return f"{street} #{address.cross.ident}-{address.plate}{tail}"
    if address.between is not None:
        return f"{street} entre {address.cross} y {address.between}"
    return f"{street} con {address.cross}"


_LEADING_ZEROS: Final = re.compile(r"^0+(?=\d)")


def street_number(digits: str) -> str:
    """Number of a street without leading zeros: "05" is street 5 (only plates keep their zeros)."""
    return _LEADING_ZEROS.sub("", digits)
