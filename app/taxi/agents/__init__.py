"""The four agents, one file each: what it is told, what it may do."""

from app.models.events import AgentName
from app.taxi.agents.base import Agent
from app.taxi.agents.confirmador import CONFIRMADOR
from app.taxi.agents.navegante import NAVEGANTE
from app.taxi.agents.operador import OPERADOR
from app.taxi.agents.recepcionista import RECEPCIONISTA

AGENTS: dict[AgentName, Agent] = {agent.name: agent for agent in (RECEPCIONISTA, NAVEGANTE, OPERADOR, CONFIRMADOR)}
"""By name, in the order in which a booking passes them."""

__all__ = ["AGENTS", "Agent"]
