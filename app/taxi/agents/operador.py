"""OPERADOR finds out how the rider pays and what else matters."""

from app.taxi import prompts
from app.taxi.agents.base import Agent
from app.taxi.handoffs import BacktrackToNavegante, TransferToConfirmador, TransferToRecepcionista
from app.taxi.tools import EstimateFare, TransferToHuman

OPERADOR = Agent(
    name="OPERADOR",
    prompt=prompts.OPERADOR,
    tools=(TransferToConfirmador, BacktrackToNavegante, TransferToRecepcionista, EstimateFare, TransferToHuman),
)
