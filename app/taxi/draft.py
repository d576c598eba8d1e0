"""A booking while it is being put together. Pure."""

from pydantic import BaseModel, ConfigDict, Field

from app.models.booking import PaymentMethod, Place
from app.taxi.reading import is_open


class Draft(BaseModel):
    """A booking while it is being put together. Kept in the checkpoint as plain JSON."""

    model_config = ConfigDict(frozen=True)

    request_id: str | None = None
    """Names this request for a taxi: however often it is dispatched, it is one booking."""
    pickup: Place | None = None
    pickup_ready: bool = False
    """The pick-up was validated: nothing about it is missing."""
    partial_address: str | None = None
    """A street that was named without what it takes to find the door; the rest may follow."""
    doubtful_neighborhood: str | None = None
    """A neighbourhood that was named once and not found; named again, the rider is believed."""
    destination: Place | None = None
    payment_method: PaymentMethod | None = None
    vehicle_features: list[str] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    """For the driver, each in the third person."""
    written_note: str | None = None
    """The driver's note as OPERADOR wrote it; until then it is made of the parts."""
    specials_settled: bool = False
    """The rider said what else matters, or that nothing does."""
    passenger_name: str | None = None
    passengers: int | None = None
    phone: str | None = None
    when: str | None = None

    @property
    def missing(self) -> list[str]:
        """What a dispatch still lacks."""
        lacks = {
            "pickup": not self.pickup_ready,
            "payment_method": self.payment_method is None,
            "half_of_day": is_open(self.when),
        }
        return [name for name, is_missing in lacks.items() if is_missing]

    @property
    def is_blank(self) -> bool:
        """Whether no booking has been begun."""
        return self == self.renewed().model_copy(update={"request_id": self.request_id})

    @property
    def observation(self) -> str | None:
        """The driver's note as one line."""
        if self.written_note is not None:
            return self.written_note
        parts = list(self.notes)
        if self.vehicle_features:
            parts.append("Requiere " + ", ".join(self.vehicle_features))
        if self.passengers and self.passengers > 1:
            parts.append(f"Viajan {self.passengers} personas")
        return ". ".join(parts) or None

    def renewed(self) -> "Draft":
        """Return a draft for the rider's next request: who they are stays known."""
        return Draft(passenger_name=self.passenger_name, phone=self.phone)

    def fingerprint(self) -> str:
        """Return what tells this draft from one that would send another taxi."""
        return self.model_dump_json(
            exclude={"request_id", "partial_address", "doubtful_neighborhood", "specials_settled", "pickup_ready"}
        )
