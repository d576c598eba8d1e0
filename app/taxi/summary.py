"""The booking in words: what CONFIRMADOR reads, and whether it was read. Pure."""

import re

from app.models.booking import Place
from app.taxi.draft import Draft
from app.taxi.phrases import Language, payment_name
from app.taxi.text import fold

_NUMBER = re.compile(r"\d+")


def describe_place(place: Place) -> str:
    """Return a place as it is said: address, detail, neighbourhood, town if it is not Barranquilla."""
    parts = [place.address, place.detail, place.neighborhood]
    if place.city and place.city != "Barranquilla":
        parts.append(place.city)
    return ", ".join(part for part in parts if part)


def summarise(draft: Draft, language: Language = "es") -> str:
    """Return the booking as a sentence or two, without the question. Empty without a pick-up."""
    if draft.pickup is None:
        return ""
    english = language == "en"
    place = describe_place(draft.pickup)
    parts = [f"we pick you up at {place}" if english else f"te recogemos en {place}"]
    if draft.destination is not None:
        goal = describe_place(draft.destination)
        parts.append(f"you are going to {goal}" if english else f"vas para {goal}")
    if draft.when and draft.when != "ahora":
        parts.append(f"time: {draft.when}" if english else f"hora: {draft.when}")
    if draft.payment_method is not None:
        payment = payment_name(draft.payment_method, language)
        by = "you pay by" if english else "pagas en" if draft.payment_method == "efectivo" else "pagas con"
        parts.append(f"{by} {payment}")
    if draft.passenger_name:
        parts.append(f"name: {draft.passenger_name}" if english else f"a nombre de {draft.passenger_name}")
    text = "; ".join(parts)
    note = draft.observation or "Sin observaciones"
    label = "Note for the driver" if english else "Nota para el conductor"
    return f"{text[0].upper()}{text[1:]}. {label}: {note}."


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
