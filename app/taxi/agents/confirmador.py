"""CONFIRMADOR reads the summary, and sends the taxi on a yes."""

from app.taxi import prompts
from app.taxi.agents.base import Agent
from app.taxi.handoffs import BacktrackToNavegante, BacktrackToOperador, TransferToRecepcionista
from app.taxi.tools import DispatchToBackend, EstimateFare, TransferToHuman

CONFIRMADOR = Agent(
    name="CONFIRMADOR",
    prompt=prompts.CONFIRMADOR,
    tools=(
        DispatchToBackend,
        BacktrackToNavegante,
        BacktrackToOperador,
        TransferToRecepcionista,
        EstimateFare,
        TransferToHuman,
    ),
)
