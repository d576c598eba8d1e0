"""The tools of the agents: validate, call the store, answer. No prompt text but what a model reads of each tool.

A tool is a pydantic class: its name and docstring are what a model is told, its fields are the
arguments, and ``run`` does the work on a ``Session``.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import anyio
from pydantic import BaseModel, Field

from app.core.errors import StoreError
from app.models.booking import OPEN_STATUSES, Booking, Place
from app.models.events import AgentName
from app.taxi.context import Context
from app.taxi.fares import estimate_fare
from app.taxi.intents import is_yes
from app.taxi.places import Reading, parse_address
from app.taxi.state import Draft, TaxiState, read_draft

T = TypeVar("T")

Result = str | dict[str, Any]


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


class TaxiTool(BaseModel):
    """A tool of the taxi agents."""

    commits: ClassVar[bool] = False
    """Does something in the world that must not be cut in the middle."""

    async def run(self, session: Session) -> Result:
        """Do the work and return what the model and the client are told."""
        raise NotImplementedError


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
        draft = session.draft
        reading = parse_address(", ".join(part for part in (self.address, self.neighborhood, self.city) if part), session.desk.gazetteer)
        return _Validation(session, draft, reading, self).settle()


@dataclass(slots=True)
class _Validation:
    """How a reading of an address becomes a pick-up."""

    session: Session
    draft: Draft
    reading: Reading
    call: ValidateAddress

    def settle(self) -> dict[str, Any]:
        reading, known = self.reading, self.draft.pickup
        gazetteer = self.session.desk.gazetteer
        text = " ".join(part for part in (self.call.address, self.call.neighborhood, self.call.city) if part)
        far_away = gazetteer.elsewhere(text)
        if far_away is not None and reading.neighborhood is None:
            return self._outside(far_away)
        if reading.status == "ambiguous":
            return self._ask("ambiguous", reading.ask or "¿Me repites la dirección completa?", reading.missing)
        is_new = reading.status in ("address", "corner", "place")
        if not is_new and known is None:
            if reading.neighborhood:
                self._keep(neighborhood=reading.neighborhood, zone=reading.zone, city=reading.city)
            return self._ask("incomplete", "¿Cuál es la dirección exacta donde te recogemos?", ("address",))
        address = reading.address if is_new else known.address if known else None
        if not address:
            return self._ask("incomplete", "¿Cuál es la dirección exacta donde te recogemos?", ("address",))
        fresh = is_new and known is not None and known.address not in ("", address)
        before = None if fresh else known
        neighborhood = reading.neighborhood or (before.neighborhood if before else None)
        zone = reading.zone if reading.neighborhood else before.zone if before else reading.zone
        city = reading.city or gazetteer.city(text) or (before.city if before else None)
        if city is not None and city not in self.session.desk.coverage:
            return self._outside(city)
        if len(reading.choices) > 1 and not city:
            self._keep(address=address, detail=reading.detail, neighborhood=None)
            return self._ask("ambiguous", reading.ask or "¿En qué municipio queda?", ("city",), reading.choices)
        named = (self.call.neighborhood or "").strip() or (self.call.address.strip() if not is_new else "")
        if neighborhood is None and named and not self.call.neighborhood_unknown and reading.status != "place":
            if self.draft.doubtful_neighborhood != named:
                self.draft = self.draft.model_copy(update={"doubtful_neighborhood": named})
                self._keep(address=address, detail=reading.detail, city=city)
                return self._ask(
                    "incomplete", f"No encuentro el barrio «{named}». ¿Me lo repites, o me dices uno cercano?", ("neighborhood",)
                )
            neighborhood = named
        detail = reading.detail or (before.detail if before else None)
        self._keep(address=address, neighborhood=neighborhood, zone=zone, city=city, detail=detail)
        if neighborhood is None and reading.status != "place" and not self.call.neighborhood_unknown:
            return self._ask("incomplete", "¿En qué barrio queda?", ("neighborhood",))
        self._keep(
            ready=True,
            address=address,
            neighborhood=neighborhood,
            zone=zone,
            city=city or self.session.desk.coverage[0],
            detail=detail,
        )
        return self._result("valid")

    def _keep(self, *, ready: bool = False, address: str = "", **fields: Any) -> None:
        place = Place(address=address, **fields)
        self.draft = self.draft.model_copy(update={"pickup": place, "pickup_ready": ready})
        self.session.draft = self.draft

    def _outside(self, where: str) -> dict[str, Any]:
        covered = ", ".join(self.session.desk.coverage)
        self.session.draft = self.draft.model_copy(update={"pickup": None, "pickup_ready": False})
        return {
            "status": "outside_coverage",
            "city": where,
            "covered": list(self.session.desk.coverage),
            "ask": f"Por ahora no llegamos a {where}. Recogemos en {covered}. ¿Te recogemos en otra dirección?",
        }

    def _ask(self, status: str, ask: str, missing: tuple[str, ...], choices: tuple[str, ...] = ()) -> dict[str, Any]:
        return self._result(status, missing=list(missing), ask=ask, **({"choices": list(choices)} if choices else {}))

    def _result(self, status: str, **more: Any) -> dict[str, Any]:
        pickup = self.draft.pickup
        kept = pickup.model_dump(exclude_none=True) if pickup is not None else {}
        return {"status": status, **{name: value for name, value in kept.items() if value}, **more}


class EstimateFare(TaxiTool):
    """Da el precio aproximado según la tarifa vigente."""

    async def run(self, session: Session) -> Result:
        """Estimate from the tariff; nothing that the tariff lacks is made up."""
        draft = session.draft
        destination = (draft.destination.address if draft.destination else "").casefold()
        estimate = estimate_fare(
            session.desk.tariff,
            hour=None,
            holiday=False,
            airport="aeropuerto" in destination,
            terminal="terminal" in destination,
            distance_km=None,
        )
        return {
            "status": "estimated",
            "low_cop": estimate.low_cop,
            "high_cop": estimate.high_cop,
            "explanation": estimate.explanation,
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
            if draft.is_blank and booking:
                return {"booking_id": booking["booking_id"], "status": "accepted", "eta_minutes": None}
            return failed("incomplete", "Faltan datos de la reserva.", missing=draft.missing)
        if draft.pickup.city not in session.desk.coverage:
            return failed("outside_coverage", "La dirección está fuera de la zona de servicio.")
        if session.get("summarised") != draft.fingerprint() or not is_yes(session.heard):
            return failed("not_confirmed", "El pasajero todavía no ha confirmado el resumen.")
        said = session.context.said
        booking = Booking(
            booking_id=session.desk.new_id(),
            thread_id=said.thread_id,
            status="accepted",
            created_at=session.desk.now_ms(),
            pickup=draft.pickup,
            destination=draft.destination,
            payment_method=draft.payment_method,
            observation=draft.observation,
            vehicle_features=draft.vehicle_features,
            passenger_name=draft.passenger_name,
            passengers=draft.passengers,
            pickup_time=draft.when,
            client_id=said.client_id,
            user_id=said.user_id,
            request_key=f"{said.thread_id}:{session.get('requests') or 0}",
        )
        stored = await _within_deadline(session, session.desk.bookings.create(booking))
        session.set("requests", (session.get("requests") or 0) + 1)
        session.set("booking", {"booking_id": stored.booking_id, "status": stored.status, "address": stored.pickup.address})
        session.set("summarised", None)
        session.draft = Draft(passenger_name=draft.passenger_name, phone=draft.phone)
        return {"booking_id": stored.booking_id, "status": "accepted", "eta_minutes": None}


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
            session.draft = Draft(passenger_name=draft.passenger_name, phone=draft.phone)
            return {"status": "discarded"}
        booking = await _newest(session)
        if booking is None:
            return failed("no_booking", "Todavía no hay una reserva en esta conversación.")
        changed = await _within_deadline(
            session,
            session.desk.bookings.change_status(booking.booking_id, "cancelled", allowed_from=OPEN_STATUSES),
        )
        if changed is None and booking.status != "cancelled":
            return failed("too_late", "El servicio ya terminó.", booking_id=booking.booking_id)
        session.set("booking", {"booking_id": booking.booking_id, "status": "cancelled", "address": booking.pickup.address})
        if changed is not None:
            await session.context.update_booking(booking.booking_id, "cancelled")
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


def _described(booking: Booking) -> dict[str, Any]:
    return {
        "booking_id": booking.booking_id,
        "status": booking.status,
        "address": booking.pickup.address,
        "neighborhood": booking.pickup.neighborhood,
    }


async def _within_deadline(session: Session, work: Awaitable[T]) -> T:
    """Await a store, but not for ever."""
    try:
        with anyio.fail_after(session.desk.store_timeout_seconds):
            return await work
    except TimeoutError as error:
        raise StoreError("El almacenamiento no respondió a tiempo.") from error
