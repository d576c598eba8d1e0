"""How agents hand over to each other: tools whose only effect is who speaks next.

A transfer is refused while what the next agent builds on is missing, so that no model can skip a step.
"""

from typing import ClassVar

from pydantic import Field

from app.models.booking import PaymentMethod
from app.models.events import AgentName
from app.taxi.tools import Result, Session, TaxiTool, failed

TRANSFERRED = "Transfer successful"
"""The result of a handover, as existing clients know it."""


class Handoff(TaxiTool):
    """Makes ``target`` the active agent."""

    target: ClassVar[AgentName]
    returns: ClassVar[bool] = False
    """The agent that hands over expects to be handed back to."""

    async def run(self, session: Session) -> Result:
        """Hand over, unless something is missing."""
        if session.handed_to is not None:
            return failed("already_transferred", f"Ya pasó a {session.handed_to}.")
        refused = self.prepare(session)
        if refused is not None:
            return refused
        session.hand_to(self.target, returns=self.returns)
        return TRANSFERRED

    def prepare(self, session: Session) -> Result | None:
        """Do what goes with this handover; return a failure to refuse it."""
        return None


class TransferToRecepcionista(Handoff):
    """Devuelve la conversación a RECEPCIONISTA: saludos, preguntas, estado o cancelación."""

    target: ClassVar[AgentName] = "RECEPCIONISTA"
    discard_request: bool = Field(default=False, description="El pasajero ya no quiere el taxi que estaba pidiendo.")

    def prepare(self, session: Session) -> Result | None:
        """Drop the draft where the rider gave up."""
        if self.discard_request:
            session.draft = session.draft.renewed()
            session.set("summarised", None)
        return None


class TransferToNavegante(Handoff):
    """Pasa a NAVEGANTE, que averigua dónde se recoge al pasajero."""

    target: ClassVar[AgentName] = "NAVEGANTE"


class TransferToOperador(Handoff):
    """Pasa a OPERADOR, cuando la dirección de recogida ya es válida."""

    target: ClassVar[AgentName] = "OPERADOR"

    def prepare(self, session: Session) -> Result | None:
        """Refuse without a valid pick-up."""
        if session.draft.pickup_ready:
            return None
        return failed("pickup_missing", "La dirección de recogida todavía no es válida. Usa ValidateAddress.")


class TransferToConfirmador(Handoff):
    """Pasa a CONFIRMADOR con la forma de pago y la nota para el conductor."""

    target: ClassVar[AgentName] = "CONFIRMADOR"
    payment_method: PaymentMethod | None = Field(default=None, description="Cómo paga el pasajero.")
    observation: str | None = Field(
        default=None, description="Nota para el conductor, en tercera persona: «Pasajero lleva mascota»."
    )
    vehicle_features: list[str] | None = Field(default=None, description="Lo que el carro debe tener.")
    passenger_name: str | None = Field(default=None, description="Nombre del pasajero, si lo dijo.")

    def prepare(self, session: Session) -> Result | None:
        """Keep what is passed on; refuse while something is missing."""
        draft = session.draft
        fields: dict[str, object] = {"specials_settled": True}
        if self.payment_method is not None:
            fields["payment_method"] = self.payment_method
        if self.observation is not None:
            fields["written_note"] = self.observation or None
        if self.vehicle_features is not None:
            fields["vehicle_features"] = self.vehicle_features
        if self.passenger_name:
            fields["passenger_name"] = self.passenger_name
        draft = draft.model_copy(update=fields)
        session.draft = draft
        if draft.missing:
            return failed("incomplete", "Faltan datos de la reserva.", missing=draft.missing)
        return None


class BacktrackToNavegante(TransferToNavegante):
    """Vuelve a NAVEGANTE porque el pasajero corrige la dirección de recogida."""

    returns: ClassVar[bool] = True


class BacktrackToOperador(Handoff):
    """Vuelve a OPERADOR porque el pasajero corrige el pago o lo que necesita."""

    target: ClassVar[AgentName] = "OPERADOR"
    returns: ClassVar[bool] = True
