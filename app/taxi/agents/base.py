"""What an agent is."""

from dataclasses import dataclass

from app.models.events import AgentName
from app.taxi.tools import TaxiTool


@dataclass(frozen=True, slots=True)
class Agent:
    """One of the four: its name, what it is told, its tools and handoffs."""

    name: AgentName
    prompt: str
    tools: tuple[type[TaxiTool], ...]

    def tool(self, name: str) -> type[TaxiTool] | None:
        """Return the tool of that name, if this agent has it."""
        return next((tool for tool in self.tools if tool.__name__ == name), None)
