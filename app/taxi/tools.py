"""The tools of the agents: validate, call the store, answer. No prompt text but what a model reads of each tool.

A tool is a pydantic class: its name and docstring are what a model is told, its fields are the
arguments, and ``run`` does the work on a ``Session``.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from functools import partial
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, Field

from app.core.deadlines import store_deadline
from app.core.tasks import unless
from app.models.booking import Booking, Place
from app.models.delivery import cancelled_by_rider
from app.models.events import AgentName
from app.taxi.context import Context
from app.taxi.draft import Draft
from app.taxi.fares import estimate_fare, explain
from app.taxi.moments import local_time, ride_moment
from app.taxi.places import Reading, parse_address
from app.taxi.reading import is_yes
from app.taxi.state import TaxiState, read_draft
from app.taxi.summary import describe_place
from app.taxi.text import fold

T = TypeVar("T")

Result = str | dict[str, Any]

_FOUND = ("address", "corner", "place")
"""Readings that say where."""
_AIRPORT = re.compile(r"(?:(?:el|al|the) )?(?:aeropuerto|airport)\b")
_TERMINAL = re.compile(r"(?:(?:la|el|al|the) )?(?:terminal|bus terminal)\b")
_FLEET_SAYS = ("driver", "plate", "eta_minutes", "code")
"""Fields of a booking that the fleet fills."""
_ASK_ADDRESS = "¿Cuál es la dirección exacta donde te recogemos?"


class Session:
    """The state while the tools of one message run, one after the other.

    What a tool sets is seen by the next, and is noted in the turn's context so that it survives a
    turn that is cut off.
    """

    def __init__(self, state: TaxiState, context: Context, agent: AgentName, heard: str) -> None:
        self.context = context
        self.desk = context.desk
        self.agent = agent
        self.heard = heard
        """The rider's last words."""
        self.handed_to: AgentName | None = None
        self.returns = False
        """Whether the agent that handed over expects to be handed back to."""
        self._state = state
        self.changes: dict[str, Any] = {}

    @property
    def draft(self) -> Draft:
        """The booking so far."""
        return read_draft({"draft": self.get("draft")})

    @draft.setter
    def draft(self, draft: Draft) -> None:
        self.set("draft", draft.model_dump(mode="json", exclude_defaults=True))

    def get(self, name: str) -> Any:
        """Return a value of the state."""
        return self.changes.get(name, self._state.get(name))

    def set(self, name: str, value: Any) -> None:
        """Set a value of the state."""
        self.changes[name] = value
        self.context.changes[name] = value

    def hand_to(self, agent: AgentName, *, returns: bool = False) -> None:
        """Make another agent the active one."""
        self.handed_to = agent
        self.returns = returns
        self.set("active_agent", agent)


class TaxiTool(BaseModel, ABC):
    """A tool of the taxi agents."""

    commits: ClassVar[bool] = False
    """Does something in the world that must not be cut in the middle."""

    @abstractmethod
    async def run(self, session: Session) -> Result:
        """Do the work and return what the model and the client are told."""


def failed(code: str, message: str, **more: Any) -> dict[str, Any]:
    """Return the result of a tool that could not do its work."""
    return {"status": "failed", "code": code, "message": message, **more}


class ValidateAddress(TaxiTool):
    """Valida la dirección de recogida y la guarda. Úsala con cada dirección o barrio que diga el pasajero."""

    address: str = Field(default="", description="La dirección tal como la dijo el pasajero. Nunca inventes números.")
    neighborhood: str | None = Field(default=None, description="El barrio, si lo dijo.")
    city: str | None = Field(default=None, description="El municipio, si lo dijo.")
    neighborhood_unknown: bool = Field(default=False, description="El pasajero dice que no sabe el barrio.")

    async def run(self, session: Session) -> Result:
        """Read the address together with what was known, keep it, and say what is missing."""
        return _Validation(session, self).settle()


_SURELY_ALIKE = 0.9
"""Names that sound so much alike are one; the summary reads it back."""


class _Validation:
    """How what a rider says becomes a pick-up, over several turns if need be."""

    def __init__(self, session: Session, call: ValidateAddress) -> None:
        self._session = session
        self._call = call
        self._gazetteer = session.desk.gazetteer
        self._coverage = session.desk.coverage
        self._draft = session.draft
        self._text = ", ".join(part for part in (call.address, call.neighborhood, call.city) if part)
        self._reading = self._read()
        known = self._draft.pickup
        is_new = self._reading.status in _FOUND
        is_other = is_new and known is not None and known.address not in ("", self._reading.address)
        self._known = known if known is not None and not is_other else Place(address="")
        """What was said before about the same place."""

    def settle(self) -> dict[str, Any]:
        """Keep what is known and say how far that goes."""
        reading, known = self._reading, self._known
        city = reading.city or self._gazetteer.city(self._text) or known.city
        where = self._gazetteer.elsewhere(self._text) if reading.neighborhood is None else None
        if where is None and city is not None and city not in self._coverage:
            where = city
        if where is not None:
            return self._outside(where)
        if reading.status == "ambiguous":
            self._set(partial_address=self._call.address)
            return self._ask("ambiguous", reading.ask or _ASK_ADDRESS, *reading.missing, choices=reading.choices)
        named, choices = self._neighborhood(city)
        place = Place(
            address=(reading.address if reading.status in _FOUND else None) or known.address,
            neighborhood=named or known.neighborhood,
            zone=reading.zone or (known.zone if named in (None, known.neighborhood) else None),
            city=city,
            detail=reading.detail or known.detail,
        )
        self._set(pickup=place, pickup_ready=False, partial_address=None)
        if not place.address:
            return self._ask("incomplete", _ASK_ADDRESS, "address")
        if choices:
            return self._ask("ambiguous", reading.ask or "¿En qué municipio queda?", "city", choices=choices)
        if place.neighborhood is None and reading.status != "place" and not self._call.neighborhood_unknown:
            return self._ask_neighborhood()
        self._set(
            pickup=place.model_copy(update={"city": city or self._coverage[0]}),
            pickup_ready=True,
            doubtful_neighborhood=None,
        )
        return self._result("valid")

    def _read(self) -> Reading:
        """Read the words; where they are half an address, together with the half that came before."""
        reading = parse_address(self._text, self._gazetteer)
        if reading.status in _FOUND or self._draft.partial_address is None:
            return reading
        whole = parse_address(f"{self._draft.partial_address} {self._text}", self._gazetteer)
        return whole if whole.status in _FOUND else reading

    def _neighborhood(self, city: str | None) -> tuple[str | None, tuple[str, ...]]:
        """Return the neighbourhood that was named, and the towns to choose from if several have one of that name."""
        if self._reading.neighborhood is not None:
            return self._reading.neighborhood, ()
        matches = self._gazetteer.neighborhoods(self._text, city=city) if self._reading.choices else []
        if matches:
            return matches[0].neighborhood.name, () if city else self._reading.choices
        return self._believed() or self._heard_as(city, _SURELY_ALIKE), ()

    def _heard_as(self, city: str | None, alike: float) -> str | None:
        """Return the neighbourhood that sounds like what was named, if it is so alike."""
        found = self._gazetteer.sounding_like(self._call.neighborhood or "", city=city)
        return found[0] if found is not None and found[1] >= alike else None

    def _believed(self) -> str | None:
        """Return a name that is not on the map, if the rider insists on it."""
        named = (self._call.neighborhood or "").strip()
        return named if named and named == self._draft.doubtful_neighborhood else None

    def _ask_neighborhood(self) -> dict[str, Any]:
        named = (self._call.neighborhood or "").strip()
        if not named:
            return self._ask("incomplete", "¿En qué barrio queda?", "neighborhood")
        self._set(doubtful_neighborhood=named)
        unknown = f"No encuentro el barrio «{named}»."
        if (meant := self._heard_as(self._known.city, 0)) is not None:
            return self._ask("incomplete", f"{unknown} ¿El barrio es {meant}?", "neighborhood", choices=(meant,))
        return self._ask("incomplete", f"{unknown} ¿Me lo repites, o me dices uno cercano?", "neighborhood")

    def _outside(self, where: str) -> dict[str, Any]:
        covered = list(self._coverage)
        self._set(pickup=None, pickup_ready=False, partial_address=None)
        sentence = ", ".join(covered[:-1]) + " y " + covered[-1] if len(covered) > 1 else covered[0]
        ask = f"Por ahora no llegamos a {where}. Recogemos en {sentence}. ¿Te recogemos en otra dirección?"
        return {"status": "outside_coverage", "city": where, "covered": covered, "ask": ask}

    def _ask(self, status: str, ask: str, *missing: str, choices: tuple[str, ...] = ()) -> dict[str, Any]:
        more: dict[str, Any] = {"choices": list(choices)} if choices else {}
        return self._result(status, missing=list(missing), ask=ask, **more)

    def _result(self, status: str, **more: Any) -> dict[str, Any]:
        pickup = self._draft.pickup
        kept = pickup.model_dump(exclude_none=True) if pickup is not None else {}
        return {"status": status, **{name: value for name, value in kept.items() if value}, **more}

    def _set(self, **fields: Any) -> None:
        self._draft = self._session.draft = self._draft.model_copy(update=fields)


class EstimateFare(TaxiTool):
    """Da el precio aproximado según la tarifa vigente."""

    async def run(self, session: Session) -> Result:
        """Estimate from the tariff; nothing that the tariff lacks is made up."""
        draft, desk = session.draft, session.desk
        ends = [fold(place.address) for place in (draft.pickup, draft.destination) if place is not None]
        estimate = estimate_fare(
            desk.tariff,
            moment=ride_moment(draft.when, local_time(desk.now_ms()), desk.holidays),
            airport=any(_AIRPORT.match(end) for end in ends),
            terminal=any(_TERMINAL.match(end) for end in ends),
            distance_km=None,
        )
        return {
            "status": "estimated",
            "low_cop": estimate.low_cop,
            "high_cop": estimate.high_cop,
            "included": [part for part, _ in estimate.lines],
            "explanation": explain(desk.tariff, estimate),
            "explanation_en": explain(desk.tariff, estimate, "en"),
            "source": estimate.source,
            "date": estimate.date,
        }


class DispatchToBackend(TaxiTool):
    """Envía el taxi. Solo después de leer el resumen y de que el pasajero diga que sí."""

    commits: ClassVar[bool] = True

    async def run(self, session: Session) -> Result:
        """Store the booking once, if the rider consented to exactly this draft."""
        draft = session.draft
        if draft.missing or draft.pickup is None or draft.payment_method is None:
            booking = session.get("booking")
            if draft.is_blank and booking and booking["status"] != "cancelled":
                return {"booking_id": booking["booking_id"], "status": "accepted", "eta_minutes": None}
            return failed("incomplete", "Faltan datos de la reserva.", missing=draft.missing)
        if draft.pickup.city not in session.desk.coverage:
            return failed("outside_coverage", "La dirección está fuera de la zona de servicio.")
        if session.get("summarised") != draft.fingerprint() or not is_yes(session.heard):
            return failed("not_confirmed", "El pasajero todavía no ha confirmado el resumen.")
        said, desk = session.context.said, session.desk
        where = await desk.directory.geocode(draft.pickup)
        pickup = draft.pickup if where is None else draft.pickup.model_copy(update=where.model_dump())
        booking = Booking(
            booking_id=desk.new_id(),
            thread_id=said.thread_id,
            status="accepted",
            created_at=desk.now_ms(),
            pickup=pickup,
            destination=draft.destination,
            payment_method=draft.payment_method,
            observation=draft.observation,
            vehicle_features=draft.vehicle_features,
            passenger_name=draft.passenger_name,
            passengers=draft.passengers,
            pickup_time=draft.when,
            client_id=said.client_id,
            user_id=said.user_id,
            owner=said.owner,
            request_key=request_key(said.thread_id, draft),
        )
        stored = await _within_deadline(session, desk.bookings.create(booking))
        session.set("booking", remembered(stored))
        session.set("summarised", None)
        session.draft = draft.renewed()
        answered = await unless(session.context.hurried, desk.dispatcher.answer(stored))
        if answered is None:
            # The outbox has it: whatever comes of it is told by a booking_update.
            return {"booking_id": stored.booking_id, "status": "accepted", "eta_minutes": None, "pending": True}
        session.set("booking", remembered(answered))
        if answered.status == "cancelled":
            # That request is over. The rider may ask again for the same, as a new one.
            session.draft = draft.model_copy(update={"request_id": desk.new_id()})
            session.set("summarised", draft.fingerprint())
            return failed(answered.code or "cancelled", "La central no envía un taxi para esta reserva.")
        return {"booking_id": answered.booking_id, "status": "accepted", "eta_minutes": answered.eta_minutes}


class BookingStatus(TaxiTool):
    """Dice en qué va la última reserva de esta conversación."""

    async def run(self, session: Session) -> Result:
        """Read the newest booking of the thread."""
        booking = await _newest(session)
        if booking is None:
            return failed("no_booking", "Todavía no hay una reserva en esta conversación.")
        return _described(booking)


class CancelBooking(TaxiTool):
    """Cancela el taxi que se está pidiendo, o el último ya pedido, si el pasajero lo pide."""

    commits: ClassVar[bool] = True

    async def run(self, session: Session) -> Result:
        """Drop the draft if there is one, else cancel the newest booking of the thread."""
        draft = session.draft
        if not draft.is_blank:
            session.draft = draft.renewed()
            return {"status": "discarded"}
        booking = await _newest(session)
        if booking is None:
            return failed("no_booking", "Todavía no hay una reserva en esta conversación.")
        desk = session.desk
        change = partial(cancelled_by_rider, now=desk.now_ms())
        changed = await _within_deadline(session, desk.bookings.revise(booking.booking_id, change))
        desk.dispatcher.ring()
        if changed is None and booking.status != "cancelled":
            return failed("too_late", "El servicio ya terminó.", booking_id=booking.booking_id)
        session.set("booking", remembered(changed or booking))
        return _described(changed or booking)


class TransferToHuman(TaxiTool):
    """Pasa la conversación a una persona, si el pasajero lo pide o no logras ayudarle."""

    reason: str = Field(default="", description="Por qué, en pocas palabras.")

    async def run(self, session: Session) -> Result:
        """Say how a person can be reached; this server has no switchboard of its own."""
        phone = session.desk.support_phone
        if phone is None:
            return failed("no_human_line", "No hay una línea de atención configurada.")
        return {"status": "accepted", "phone": phone}


async def _newest(session: Session) -> Booking | None:
    bookings = await _within_deadline(session, session.desk.bookings.list(session.context.said.thread_id))
    return bookings[-1] if bookings else None


def request_key(thread_id: str, draft: Draft) -> str:
    """Return what makes a repeated dispatch of a draft the same dispatch."""
    return f"{thread_id}:{draft.request_id}"


def remembered(booking: Booking) -> dict[str, Any]:
    """Return what the state keeps of the newest booking."""
    known = {name: value for name in _FLEET_SAYS if (value := getattr(booking, name)) is not None}
    place = describe_place(booking.pickup)
    return {"booking_id": booking.booking_id, "status": booking.status, "place": place, **known}


def _described(booking: Booking) -> dict[str, Any]:
    return {
        "booking_id": booking.booking_id,
        "status": booking.status,
        "address": booking.pickup.address,
        "neighborhood": booking.pickup.neighborhood,
        **{name: value for name in _FLEET_SAYS if (value := getattr(booking, name)) is not None},
    }


async def _within_deadline(session: Session, work: Awaitable[T]) -> T:
    """Await a store, but not for ever."""
    with store_deadline(session.desk.store_timeout_seconds):
        return await work
