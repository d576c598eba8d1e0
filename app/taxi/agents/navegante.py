"""NAVEGANTE finds out where the rider is picked up."""

from app.taxi import prompts
from app.taxi.agents.base import Agent
from app.taxi.handoffs import TransferToOperador, TransferToRecepcionista
from app.taxi.tools import EstimateFare, TransferToHuman, ValidateAddress

NAVEGANTE = Agent(
    name="NAVEGANTE",
    prompt=prompts.NAVEGANTE,
    tools=(ValidateAddress, TransferToOperador, TransferToRecepcionista, EstimateFare, TransferToHuman),
)
