"""What the graph remembers of a thread."""

from typing import Annotated, Any, TypedDict

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages

from app.models.events import AgentName
from app.taxi.draft import Draft

RECEPTION: AgentName = "RECEPCIONISTA"
"""Who answers in a new thread."""


class TaxiState(TypedDict, total=False):
    """The state of the graph."""

    messages: Annotated[list[AnyMessage], add_messages]
    active_agent: AgentName
    draft: dict[str, Any]
    """A ``Draft`` as JSON."""
    summarised: str | None
    """Fingerprint of the draft that was read to the rider: what a yes consents to."""
    booking: dict[str, Any] | None
    """The newest booking of the thread: ``booking_id``, ``status``, ``place`` in words."""


def read_draft(state: TaxiState) -> Draft:
    """Return the draft of a state."""
    return Draft.model_validate(state.get("draft") or {})


def active_agent(state: TaxiState) -> AgentName:
    """Return whom the rider talks to."""
    return state.get("active_agent", RECEPTION)
