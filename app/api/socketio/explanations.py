"""Explanations: a client asks, and is told an answer piece by piece, which it may pause and resume."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel

from app.api.socketio.base import Family, Payload
from app.models.explanations import AskQuestion, PauseExplanation, ResumeExplanation, SentEvent


class Explanations(Family):
    """What a client asks on one connection. What it is told ends with the connection, and may be resumed on another."""

    events: ClassVar[Mapping[str, type[BaseModel]]] = {
        "ask_question": AskQuestion,
        "pause_explanation": PauseExplanation,
        "resume_explanation": ResumeExplanation,
    }

    async def take(self, message: Any) -> None:
        """See ``Family``."""
        caller = await self.connection.authenticate(message.token)
        explanations, here = self.connection.services.explanations, self.connection.id
        match message:
            case AskQuestion(question=question, context=context):
                self.start(await explanations.ask(caller, here, question, context, self._send), message)
            case ResumeExplanation(answer_data=place):
                self.start(await explanations.resume(caller, here, place, self._send), message)
            case PauseExplanation():
                await explanations.pause(caller, here, self._send)

    async def _send(self, event: SentEvent) -> None:
        await self.connection.emit(event.type, payload_of(event))


def payload_of(event: SentEvent) -> Payload:
    """Return what an event holds on the wire, where its name is beside it."""
    return event.model_dump(mode="json", by_alias=True, exclude={"type"})
