"""RECEPCIONISTA greets and finds out what the rider wants."""

from app.taxi import prompts
from app.taxi.agents.base import Agent
from app.taxi.handoffs import TransferToConfirmador, TransferToNavegante, TransferToOperador
from app.taxi.tools import BookingStatus, CancelBooking, EstimateFare, TransferToHuman

RECEPCIONISTA = Agent(
    name="RECEPCIONISTA",
    prompt=prompts.RECEPCIONISTA,
    tools=(
        TransferToNavegante,
        TransferToOperador,
        TransferToConfirmador,
        EstimateFare,
        BookingStatus,
        CancelBooking,
        TransferToHuman,
    ),
)
