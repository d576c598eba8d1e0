"""What a turn begins with: what the rider says at any time, in any order, is kept."""

import re
from datetime import datetime
from typing import Any, get_args

from app.core.deadlines import store_deadline
from app.models.booking import PaymentMethod, Place
from app.taxi.context import Context
from app.taxi.draft import Draft
from app.taxi.history import last_words
from app.taxi.moments import local_time
from app.taxi.places import Gazetteer, parse_address
from app.taxi.reading import next_time, read_slots
from app.taxi.state import RECEPTION, TaxiState, active_agent, read_draft
from app.taxi.text import fold
from app.taxi.tools import remembered, request_key

_METHODS = frozenset(get_args(PaymentMethod))
_NO_I_PAY = re.compile(r"\W*no,? (?:pago|pagare|voy a pagar|mejor) (?:con|en|por)\b")


async def listen(state: TaxiState, context: Context) -> TaxiState:
    """Take the rider's words, once in a turn, and return what they change: what is known, and who speaks.

    It is noted in the turn's context too, so that it survives a turn that is cut off.
    """
    before, booking = await _as_the_books_say(state, context)
    before = await _who_speaks(before, state, context)
    draft = note(before, last_words(state["messages"]), context.desk.gazetteer, local_time(context.desk.now_ms()))
    if draft.request_id is None:
        draft = draft.model_copy(update={"request_id": context.desk.new_id()})
    agent = RECEPTION if before.is_blank and booking else active_agent(state)
    heard: TaxiState = {
        "draft": draft.model_dump(mode="json", exclude_defaults=True),
        "booking": booking,
        "active_agent": agent,
    }
    context.changes |= heard
    context.has_listened = True
    return heard


async def _as_the_books_say(state: TaxiState, context: Context) -> tuple[Draft, dict[str, Any] | None]:
    """Return the draft and the newest booking, put right by what is stored.

    A booking may have been cancelled elsewhere since; and a process that died right after a dispatch
    left a draft that is a booking already.
    """
    draft, known = read_draft(state), state.get("booking")
    if known is None and draft.missing:
        return draft, None
    with store_deadline(context.desk.store_timeout_seconds):
        stored = await context.desk.bookings.list(context.said.thread_id)
    key = request_key(context.said.thread_id, draft)
    if any(booking.request_key == key for booking in stored):
        draft = draft.renewed()
    return draft, remembered(stored[-1]) if stored else None


async def _who_speaks(draft: Draft, state: TaxiState, context: Context) -> Draft:
    """Return the draft with the rider's name, where the fleet knows who begins to speak here."""
    client_id = context.said.client_id
    if client_id is None or draft.passenger_name is not None or len(state["messages"]) > 1:
        return draft
    customer = await context.desk.directory.find_customer(client_id)
    return draft if customer is None else draft.model_copy(update={"passenger_name": customer.name})


def note(draft: Draft, heard: str, gazetteer: Gazetteer, now: datetime) -> Draft:
    """Return the draft with what a sentence volunteers besides the pick-up. Later words win."""
    slots = read_slots(heard)
    fields: dict[str, Any] = {"when": next_time(draft.when, slots.when, heard, now)}
    for name in ("payment_method", "passenger_name", "passengers", "phone"):
        if (value := getattr(slots, name)) is not None:
            fields[name] = value
    if slots.payment_method is None and (meant := _paid_instead(draft, slots.removed, heard)) is not None:
        fields["payment_method"] = meant
    features = _united(draft.vehicle_features, slots.vehicle_features, slots.removed)
    notes = _united(draft.notes, slots.notes, slots.removed)
    if (features, notes) != (draft.vehicle_features, draft.notes) or "passengers" in fields:
        fields |= {"vehicle_features": features, "notes": notes, "written_note": None}
    if slots.vehicle_features or slots.notes:
        fields["specials_settled"] = True
    if slots.destination is not None:
        fields["destination"] = read_destination(slots.destination, gazetteer)
    elif slots.goes_there and draft.pickup is not None:
        fields |= {"destination": draft.pickup, "pickup": None, "pickup_ready": False}
    return draft.model_copy(update=fields)


def read_destination(text: str, gazetteer: Gazetteer) -> Place:
    """Return a volunteered destination: parsed where it can be, else as it was said."""
    reading = parse_address(text, gazetteer)
    address = reading.address or text.strip()
    return Place(
        address=address,
        neighborhood=reading.neighborhood if reading.neighborhood != address else None,
        zone=reading.zone,
        city=reading.city,
        detail=reading.detail,
    )


def _paid_instead(draft: Draft, removed: tuple[str, ...], heard: str) -> str | None:
    """Return what «no pago con Nequi» means of a ride that was to be paid otherwise: «no, pago con Nequi».

    Recognisers write no comma; nobody takes back what was never said.
    """
    if draft.payment_method is None or draft.payment_method in removed or not _NO_I_PAY.match(fold(heard)):
        return None
    return next((each for each in removed if each in _METHODS), None)


def _united(known: list[str], new: tuple[str, ...], removed: tuple[str, ...]) -> list[str]:
    return [each for each in dict.fromkeys((*known, *new)) if each not in removed]
