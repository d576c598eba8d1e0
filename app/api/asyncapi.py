"""The WebSocket protocol as an AsyncAPI document, made from the classes that speak it. Pure.

A new event or input is in the document as soon as it is in its union; what is written by hand here is prose
and the sample values of the examples.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from app.api import close_codes
from app.api.close_codes import Close
from app.api.dialects.native import NativeDialect
from app.core import errors
from app.core.errors import (
    AgentError,
    AlreadyPaused,
    AppError,
    BadInput,
    BadSignature,
    Conflict,
    ExplanationTimeout,
    ForeignAnswer,
    InvalidCredentials,
    LogTruncated,
    NoCredits,
    NotFound,
    NothingToResume,
    NotPaused,
    NotStreaming,
    SessionExpired,
    TakenOver,
)
from app.models.events import BaseEvent, Event
from app.models.inputs import ClientInput

ADDRESS: Final = "/api/v1/ws/chat"
"""Where the channel is."""

GRAMMAR: Final = """\
stt_chunk* stt_output turn_start
(agent_chunk | tool_call | tool_result | tts_chunk | interrupted | agent_end)*
agent_error? tts_end? turn_end"""
"""The order of a turn's events."""

EVENTS: Final[tuple[type[Event], ...]] = get_args(get_args(Event)[0])
"""What the server sends."""
INPUTS: Final[tuple[type[ClientInput], ...]] = get_args(get_args(ClientInput)[0])
"""What the server receives."""
MESSAGES: Final[tuple[type[Event] | type[ClientInput], ...]] = (*EVENTS, *INPUTS)
"""Both."""

_ABOUT = """\
Books taxis by voice or text. This document describes the **server**, as AsyncAPI 3 asks: the operation `receive`
holds what a client says, the operation `send` what a client hears.

Messages are JSON text frames told apart by `type`. Ignore fields and types you do not know: some may be added, none
dropped or renamed. A field without a value is left out. Binary frames from the client are audio: as `audio_start`
says, or 16 kHz mono `pcm_s16le` without one.
"""

_CHANNEL = f"""\
## Order of a turn

```
{GRAMMAR}
```

Each `tool_call` has one `tool_result` with its `toolCallId`, each agent that spoke or acted one `agent_end`, and
nothing of the turn follows its `turn_end`, which is sent once the answer is saved. A turn that completes holds at
least one `agent_chunk`; after an `agent_error` the `turn_end` has status `failed`. `booking_update`, `system_message`
and `pong` may come at any time.

## Coming back

Logged events carry `seq`, which grows by 1 within a thread; `epoch` names the life of that log. After a lost
connection, `replay` with the last `seq` and `epoch` is answered by `replay_start`, then by exactly what was missed,
then live.
"""

_ELSEWHERE = (
    *(AppError, NotFound, Conflict, BadSignature, InvalidCredentials, LogTruncated),
    *(NoCredits, NotStreaming, AlreadyPaused, NotPaused, NothingToResume, SessionExpired, ForeignAnswer, TakenOver),
    ExplanationTimeout,
)
"""Errors whose own codes no frame carries: the root, those of HTTP alone or of explanations, and one that closes."""
_WITHOUT_CLASS: Mapping[type[AppError], Mapping[str, str]] = {
    BadInput: {
        "invalid_json": "The frame is not JSON.",
        "unknown_type": "There is no `type`, or an unknown one.",
        "invalid_audio": "The audio cannot be taken.",
        "authenticated": "With level `info`: the token of an `auth` message was taken.",
    },
    AgentError: {
        "agent_silent": "The agents said nothing.",
        "worker_lost": "The process that answered has stopped.",
        "internal_error": "Something unforeseen.",
    },
}
"""Codes that are given to an error where it is raised, by the kind of error."""

_CORRELATION_IDS = {
    "toolCallId": {"description": "A tool call and its result.", "location": "$message.payload#/toolCallId"},
    "turn_id": {"description": "All that belongs to one turn.", "location": "$message.payload#/turn_id"},
}
"""By the field that holds them; the first that a message always has is its own."""

_SEQ = 7
_SAMPLES: Mapping[str, Any] = {
    "ts": 1767225600000,
    "thread_id": "thread-1",
    "turn_id": "turn-1",
    "epoch": "epoch-1",
    "user_id": "rider-1",
    "client_id": "client-1",
    "booking_id": "booking-1",
    "language": "es-CO",
    "token": "eyJhbGciOiJIUzI1NiJ9.e30.sig",
    "text": "Necesito un taxi en la calle 72 con 43",
    "agent_chunk.text": "¿En qué barrio ",
    "turn_end.text": "Listo, tu taxi va en camino.",
    "booking_update.status": "assigned",
    "booking_update.driver": "Luis Pérez",
    "booking_update.plate": "ABC123",
    "booking_update.eta_minutes": 4,
    "booking_update.code": None,
    "booking_update.revision": 2,
    "tool_call_id": "call-1",
    "name": "ValidateAddress",
    "args": {"address": "calle 72 con 43"},
    "result": {"status": "ok", "address": "Calle 72 #43"},
    "agent": "NAVEGANTE",
    "error": "El modelo de lenguaje no respondió bien.",
    "code": "model_error",
    "audio": "AAAAAA==",
    "sample_rate": 16000,
    "offset_ms": 0,
    "recovered": True,
    "last_seq": _SEQ,
    "system_message.message": "El mensaje no es JSON.",
    "system_message.level": "error",
    "system_message.code": "invalid_json",
    "system_message.thread_id": None,
    "system_message.turn_id": None,
    "after_seq": _SEQ,
    "audio_from_ms": 0,
    "played_ms": 850,
}
"""Values for the examples, by field or by message and field. Fields not here take their default."""


def asyncapi_document(
    *, title: str, version: str, server_host: str | None, protocol: Literal["ws", "wss"] = "ws"
) -> dict[str, Any]:
    """Return the AsyncAPI 3.0.0 document of the chat.

    Args:
        title: What the server is called.
        version: The server's version.
        server_host: Host and port where it is reached; the document names no server where this is None.
        protocol: How it is reached there.
    """
    schemas = _schemas()
    messages = {kind_of(model): _message(model, schemas[model.__name__]) for model in MESSAGES}
    document: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {"title": title, "version": version, "description": _ABOUT, "license": {"name": "MIT"}},
        "defaultContentType": "application/json",
        "channels": {
            "chat": {
                "address": ADDRESS,
                "title": "Taxi chat",
                "description": "\n".join([_CHANNEL, *_close_code_lines(), "", *_error_code_lines()]),
                "messages": {kind: _ref("components", "messages", kind) for kind in messages},
                "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
                "x-close-codes": [
                    {"code": close.code, "reason": close.reason, "mayReconnect": close.may_reconnect}
                    for close in _closes()
                ],
            }
        },
        "operations": {
            "receive": _operation("receive", "What a client says.", INPUTS),
            "send": _operation("send", "What a client hears.", EVENTS),
        },
        "components": {"messages": messages, "schemas": schemas, "correlationIds": _CORRELATION_IDS},
    }
    if server_host is not None:
        document["servers"] = {"this": {"host": server_host, "protocol": protocol}}
    return document


def kind_of(model: type[BaseModel]) -> str:
    """Return the ``type`` that tells a message of this class from the others."""
    kind: str = get_args(model.model_fields["type"].annotation)[0]
    return kind


def example_of(model: type[Event] | type[ClientInput]) -> Event | ClientInput:
    """Return a sample message of a class. A required field without a sample value is an error."""
    return model(**{name: _sample(kind_of(model), name, field) for name, field in model.model_fields.items()})


def frame_of(event: Event) -> str:
    """Return a sample event as it is sent."""
    return NativeDialect().encode(event, _SEQ if event.replayable else None)


# Schemas and messages.


def _schemas() -> dict[str, Any]:
    """Return the JSON schema of every class, and of what those refer to, by name."""
    both: list[tuple[type[BaseModel], JsonSchemaMode]] = [(event, "serialization") for event in EVENTS]
    both += [(said, "validation") for said in INPUTS]
    _, generated = models_json_schema(both, by_alias=True, ref_template="#/components/schemas/{model}")
    schemas: dict[str, Any] = generated["$defs"]
    for model in MESSAGES:
        schemas[model.__name__].pop("description", None)  # the message has it
    for event in EVENTS:
        _complete(schemas[event.__name__], replayable=event.replayable)
    return schemas


def _complete(schema: dict[str, Any], *, replayable: bool) -> None:
    """Say of an event's schema what only its frame shows: the ``seq``, and that all but None is always sent."""
    properties = schema["properties"]
    if replayable:
        properties["seq"] = {"type": "integer", "minimum": 1, "description": "The event's number in its thread's log."}
    schema["required"] = [name for name, of in properties.items() if of.get("default", ...) is not None]


def _message(model: type[Event] | type[ClientInput], schema: Mapping[str, Any]) -> dict[str, Any]:
    doc = _prose(model)
    example = example_of(model)
    payload = (
        json.loads(frame_of(example))
        if isinstance(example, BaseEvent)
        else example.model_dump(mode="json", exclude_none=True)
    )
    message: dict[str, Any] = {
        "name": kind_of(model),
        "title": model.__name__,
        "summary": doc.partition(". ")[0].removesuffix(".") + ".",
        "description": doc,
        "payload": _ref("components", "schemas", model.__name__),
        "examples": [{"payload": payload}],
    }
    correlation = next((field for field in _CORRELATION_IDS if field in schema["required"]), None)
    if correlation is not None:
        message["correlationId"] = _ref("components", "correlationIds", correlation)
    return message


def _operation(action: str, summary: str, models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    return {
        "action": action,
        "summary": summary,
        "channel": _ref("channels", "chat"),
        "messages": [_ref("channels", "chat", "messages", kind_of(model)) for model in models],
    }


def _sample(kind: str, name: str, field: FieldInfo) -> Any:
    """Return a value for a field: its own sample, the first of its literals, any sample of its name, its default."""
    if (own := f"{kind}.{name}") in _SAMPLES:
        return _SAMPLES[own]
    if name not in _SAMPLES and get_origin(field.annotation) is Literal:
        return get_args(field.annotation)[0]
    return _SAMPLES.get(name, field.get_default())


def _ref(*path: str) -> dict[str, str]:
    return {"$ref": "#/" + "/".join(path)}


def _prose(thing: type) -> str:
    """Return a docstring as Markdown, in one line."""
    return " ".join((thing.__doc__ or "").replace("``", "`").split())


# What ends a connection or a turn.


def _closes() -> list[Close]:
    return sorted((close for close in vars(close_codes).values() if isinstance(close, Close)), key=lambda it: it.code)


def _close_code_lines() -> Iterator[str]:
    yield "## Close codes\n"
    for close in _closes():
        then = "come back and replay" if close.may_reconnect else "coming back will not help"
        yield f"- `{close.code}` {close.reason}: {then}."


def _error_code_lines() -> Iterator[str]:
    known = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AppError)]
    bad_input = [kind for kind in known if issubclass(kind, BadInput)]
    yield "## Error codes\n"
    yield "In a `system_message` with level `error`; the connection stays open and no turn starts:\n"
    yield from _codes(bad_input, _WITHOUT_CLASS[BadInput])
    yield "\nIn an `agent_error`, or in a `system_message` where no turn could start:\n"
    yield from _codes([kind for kind in known if kind not in bad_input], _WITHOUT_CLASS[AgentError])


def _codes(kinds: Sequence[type[AppError]], more: Mapping[str, str]) -> Iterator[str]:
    for kind in kinds:
        if kind not in _ELSEWHERE:
            again = " May be tried again." if kind.retryable else ""
            yield f"- `{kind.code}` {_prose(kind)}{again}"
    yield from (f"- `{code}` {meaning}" for code, meaning in more.items())
