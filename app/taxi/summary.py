"""The booking in words: what CONFIRMADOR reads, and whether it was read. [pure]"""

import re

from app.models.booking import Place
from app.taxi.state import Draft
from app.taxi.text import fold

_NUMBER = re.compile(r"\d+")
PAYMENT_NAMES = {"efectivo": "efectivo", "nequi": "Nequi", "daviplata": "Daviplata", "tarjeta": "tarjeta"}


def describe_place(place: Place) -> str:
    """Return a place as it is said: address, detail, neighbourhood, town if it is not Barranquilla."""
    parts = [place.address, place.detail, place.neighborhood]
    if place.city and place.city != "Barranquilla":
        parts.append(place.city)
    return ", ".join(part for part in parts if part)


def summarise(draft: Draft) -> str:
    """Return the booking as one Spanish paragraph, without the question."""
    if draft.pickup is None:
        return ""
    parts = [f"te recogemos en {describe_place(draft.pickup)}"]
    if draft.destination is not None:
        parts.append(f"vas para {describe_place(draft.destination)}")
    if draft.when and draft.when != "ahora":
        parts.append(f"para {draft.when}")
    if draft.payment_method is not None:
        parts.append(f"pagas con {PAYMENT_NAMES[draft.payment_method]}")
    note = draft.observation
    if draft.passenger_name:
        parts.append(f"a nombre de {draft.passenger_name}")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}. Nota para el conductor: {note or 'Sin observaciones'}."


def was_read(draft: Draft, spoken: str) -> bool:
    """Return whether ``spoken`` told the rider where the taxi would go.

    Every number of the address has to be in it, or its name where it has none: a yes to anything less
    is no consent.
    """
    if draft.pickup is None or draft.missing:
        return False
    address, heard = fold(draft.pickup.address), fold(spoken)
    numbers = _NUMBER.findall(address)
    if not numbers:
        return address in heard
    return set(numbers) <= set(_NUMBER.findall(heard))
