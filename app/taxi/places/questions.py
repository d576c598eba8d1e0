"""What riders are asked when an address is not clear. The only Spanish sentences of this package."""

from collections.abc import Sequence

from app.taxi.places.gazetteer import Neighborhood
from app.taxi.places.meaning import Meaning
from app.taxi.places.vias import Address, write_address


def _listed(options: Sequence[str]) -> str:
    """Write "A, B o C"."""
    if len(options) < 2:
        return "".join(options)
    return f"{', '.join(options[:-1])} o {options[-1]}"


def ask_about(meaning: Meaning, choices: Sequence[str]) -> str:
    """Ask for what an ambiguous address lacks.

    Args:
        meaning: the ambiguous reading.
        choices: readings to choose from that are not in ``meaning``.

    Returns:
        A question in Spanish.
    """
    options = choices or meaning.choices
    street = write_address(Address(meaning.address.street))
    if not meaning.address.street.kind and not meaning.address.street.name:
        return "¿Sobre qué vía está ese kilómetro?"
    if "plate" in meaning.missing and len(options) == 1 and meaning.address.cross is not None:
        return f"¿Es la esquina de {options[0]}, o falta el número de la placa?"
    if len(options) > 1:
        return f"¿Cuál es la dirección: {_listed(options)}?"
    if options:
        return f"¿La dirección es {options[0]}?"
    return f"¿Con qué calle o carrera cruza la {street}, y cuál es el número?"


def ask_neighborhood(barrios: Sequence[Neighborhood]) -> str:
    """Ask which of several neighbourhoods of one name is meant."""
    if not barrios:
        return "¿En qué barrio queda?"
    cities = list(dict.fromkeys(barrio.city for barrio in barrios))
    names = list(dict.fromkeys(barrio.name for barrio in barrios))
    if len(cities) > 1:
        return f"¿{names[0]} de {_listed(cities)}?"
    return f"¿Cuál barrio es: {_listed(names)}?"


def ask_city(names: Sequence[str]) -> str:
    """Ask which of several places is meant."""
    return f"¿A cuál se refiere: {_listed(names)}?"


def ask_place(neighborhood: str | None, city: str | None) -> str | None:
    """Ask for the street when only a neighbourhood or a municipality was said."""
    where = neighborhood or city
    return f"¿En qué dirección de {where} lo recogemos?" if where else None
