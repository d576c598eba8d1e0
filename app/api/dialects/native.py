"""The console's own JSON: one frame per event, named as the event is. Pure."""

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from app.core.errors import BadInput
from app.models.events import BaseEvent, Record
from app.models.inputs import CLIENT_INPUT, ClientInput


class NativeDialect:
    """Events to text frames and text frames to input."""

    def encode(self, event: BaseEvent, seq: int | None = None) -> str:
        """Return the frame of an event; ``seq`` is its number in the log, if it has one."""
        frame = event.model_dump_json(by_alias=True, exclude_none=True)
        return frame if seq is None else f'{frame[:-1]},"seq":{seq}}}'

    def encode_record(self, record: Record) -> str:
        """Return the frame of a logged event."""
        return self.encode(record.event, record.seq)

    def decode(self, frame: str) -> ClientInput:
        """Return what a client said.

        Raises:
            BadInput: With the code ``invalid_json``, ``unknown_type`` or ``invalid_message``.
        """
        try:
            return CLIENT_INPUT.validate_json(frame)
        except (ValidationError, PydanticSerializationError, UnicodeEncodeError) as error:
            raise _why(error) from error


def _why(error: Exception) -> BadInput:
    if not isinstance(error, ValidationError):
        return BadInput("El mensaje no es JSON.", code="invalid_json")
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    match problem["type"]:
        case "json_invalid" | "json_type":
            return BadInput("El mensaje no es JSON.", code="invalid_json")
        case "union_tag_invalid" | "union_tag_not_found" | "model_attributes_type" | "dict_type" | "model_type":
            if len(problem["loc"]) == 0:
                return BadInput("El mensaje no tiene un tipo conocido.", code="unknown_type")
    where = ".".join(str(part) for part in problem["loc"][1:]) or "type"
    return BadInput(f"El campo «{where}» no es válido.")
