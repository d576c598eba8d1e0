"""The AsyncAPI document against the models, the dialect, the lifecycle, and the official parser."""

import json
import re
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from fastapi import FastAPI

import app
from app.api import close_codes
from app.api.asyncapi import EVENTS, GRAMMAR, INPUTS, MESSAGES, asyncapi_document, example_of, frame_of, kind_of
from app.api.close_codes import Close
from app.api.dialects.native import NativeDialect
from app.api.v1.asyncapi import router
from app.models.events import EVENT, BaseEvent, Event, TurnEvent
from app.models.inputs import CLIENT_INPUT, ClientInput
from app.turns.lifecycle import _TABLE, Phase
from tests import npm

pytestmark = pytest.mark.integration

APP = Path(app.__file__).parent
JS = Path(__file__).parents[1] / "js" / "asyncapi"
DOCUMENT = asyncapi_document(title="Voztaxi", version="1.2.3", server_host="localhost:8000")
CHANNEL = DOCUMENT["channels"]["chat"]
COMPONENTS = DOCUMENT["components"]


def schema_of(kind: str) -> dict[str, Any]:
    """Return the payload schema of a message, able to find what it refers to."""
    return {**COMPONENTS["messages"][kind]["payload"], "components": COMPONENTS}


def required_of(model: type[Event] | type[ClientInput]) -> set[str]:
    """Return the fields that a message always has."""
    return set(COMPONENTS["schemas"][model.__name__]["required"])


# What is in it.


def test_every_class_of_both_unions_is_a_message_of_its_operation() -> None:
    sent = set(EVENT.json_schema()["discriminator"]["mapping"])
    received = set(CLIENT_INPUT.json_schema()["discriminator"]["mapping"])

    def kinds(operation: str) -> set[str]:
        return {ref["$ref"].rpartition("/")[2] for ref in DOCUMENT["operations"][operation]["messages"]}

    assert kinds("send") == sent
    assert kinds("receive") == received
    assert set(COMPONENTS["messages"]) == set(CHANNEL["messages"]) == sent | received
    assert len(sent | received) == len(EVENTS) + len(INPUTS)


@pytest.mark.parametrize("model", MESSAGES, ids=kind_of)
def test_every_message_is_named_by_its_type_and_described(model: type[Event] | type[ClientInput]) -> None:
    message = COMPONENTS["messages"][kind_of(model)]

    assert message["name"] == kind_of(model)
    assert len(message["summary"]) > len(".")
    assert message["description"].startswith(message["summary"])


@pytest.mark.parametrize("model", EVENTS, ids=kind_of)
def test_a_seq_is_in_the_schema_of_logged_events_alone(model: type[Event]) -> None:
    properties = COMPONENTS["schemas"][model.__name__]["properties"]

    assert ("seq" in properties) is model.replayable
    assert ("seq" in required_of(model)) is model.replayable


def test_the_close_codes_are_those_of_the_server() -> None:
    codes = {close.code for close in vars(close_codes).values() if isinstance(close, Close)}

    assert {entry["code"] for entry in CHANNEL["x-close-codes"]} == codes
    assert codes >= {1009, 1012, 4401, 4408}
    assert all(f"- `{code}` " in CHANNEL["description"] for code in codes)


OF_EXPLANATIONS = ("explanation", "questions")
"""How files are called that no turn of the chat goes through; docs/explanations.md has their codes."""


def test_every_error_code_given_in_the_source_of_the_chat_is_described() -> None:
    files = [APP / "api/v1/websocket.py", APP / "api/dialects/native.py"]
    files += [file for folder in ("services", "turns", "pipeline") for file in (APP / folder).glob("*.py")]
    files = [file for file in files if not file.name.startswith(OF_EXPLANATIONS)]
    given = {code for file in files for code in re.findall(r'\bcode="([a-z_]+)"', file.read_text(encoding="utf-8"))}

    undescribed = {code for code in given if f"- `{code}` " not in CHANNEL["description"]}

    assert given
    assert not undescribed


def test_the_grammar_allows_exactly_the_turns_that_the_lifecycle_allows() -> None:
    kinds = {kind_of(model): model for model in EVENTS if issubclass(model, TurnEvent)}
    grammar = re.compile(re.sub(r"\w+", r"(?:\g<0>,)", GRAMMAR), re.VERBOSE)

    def is_turn(names: tuple[str, ...]) -> bool:
        phase: Phase | None = Phase.NEW
        for name in names:
            phase = None if phase is None else _TABLE.get((phase, kinds[name]))
        return phase is Phase.ENDED

    tried = [names for length in range(6) for names in product(kinds, repeat=length)]
    turns = [names for names in tried if is_turn(names)]

    assert turns
    assert [names for names in tried if grammar.fullmatch("".join(f"{name}," for name in names))] == turns


# Examples and frames.


@pytest.mark.parametrize("model", MESSAGES, ids=kind_of)
def test_every_example_is_a_message_of_its_class_and_fits_its_schema(model: type[Event] | type[ClientInput]) -> None:
    (example,) = COMPONENTS["messages"][kind_of(model)]["examples"]
    reader = EVENT if issubclass(model, BaseEvent) else CLIENT_INPUT

    assert reader.validate_json(json.dumps(example["payload"])) == example_of(model)
    jsonschema_rs.validate(schema_of(kind_of(model)), example["payload"])


@pytest.mark.parametrize("model", EVENTS, ids=kind_of)
def test_every_frame_of_the_native_dialect_fits_its_schema_and_misses_nothing(model: type[Event]) -> None:
    event, schema = example_of(model), schema_of(kind_of(model))
    assert isinstance(event, BaseEvent)
    frame = json.loads(frame_of(event))

    jsonschema_rs.validate(schema, frame)
    for field in required_of(model):
        assert not jsonschema_rs.is_valid(schema, {**frame, field: None})
        assert not jsonschema_rs.is_valid(schema, {name: value for name, value in frame.items() if name != field})


@pytest.mark.parametrize("model", EVENTS, ids=kind_of)
def test_a_frame_without_its_optional_fields_fits_its_schema(model: type[Event]) -> None:
    empty = {name: None for name, field in model.model_fields.items() if field.get_default() is None}
    event = example_of(model).model_copy(update=empty)
    assert isinstance(event, BaseEvent)

    jsonschema_rs.validate(schema_of(kind_of(model)), json.loads(frame_of(event)))


@pytest.mark.parametrize("model", INPUTS, ids=kind_of)
def test_an_input_with_its_required_fields_alone_fits_its_schema_and_is_taken(model: type[ClientInput]) -> None:
    payload = example_of(model).model_dump(mode="json", include=required_of(model))

    jsonschema_rs.validate(schema_of(kind_of(model)), payload)
    assert isinstance(NativeDialect().decode(json.dumps(payload)), model)


def test_a_tool_call_and_its_result_belong_together_by_the_call_and_a_turn_by_its_id() -> None:
    by_field: dict[str, set[str]] = {}
    for kind, message in COMPONENTS["messages"].items():
        by_field.setdefault(message.get("correlationId", {}).get("$ref", "").rpartition("/")[2], set()).add(kind)

    turn_events = {kind_of(model) for model in EVENTS if issubclass(model, TurnEvent)}
    assert by_field["toolCallId"] == {"tool_call", "tool_result"}
    assert by_field["turn_id"] == (turn_events - by_field["toolCallId"]) | {"playback"}


# The route.


@pytest.mark.parametrize(("scheme", "protocol"), [("http", "ws"), ("https", "wss")])
async def test_the_route_names_the_server_as_it_was_asked(scheme: str, protocol: str) -> None:
    server = FastAPI(title="Taxis", version="9.8.7")
    server.include_router(router)
    transport = httpx.ASGITransport(server)

    async with httpx.AsyncClient(transport=transport, base_url=f"{scheme}://taxis.example:8443") as client:
        answer = await client.get("/asyncapi.json")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert document["asyncapi"] == "3.0.0"
    assert (document["info"]["title"], document["info"]["version"]) == ("Taxis", "9.8.7")
    assert document["servers"] == {"this": {"host": "taxis.example:8443", "protocol": protocol}}


def test_a_document_for_no_host_names_no_server() -> None:
    assert "servers" not in asyncapi_document(title="Voztaxi", version="1.2.3", server_host=None)


# The official parser.


@pytest.fixture(scope="module")
def node() -> str:
    """Return the program that runs the parser; the parser is installed where it is not there yet."""
    return npm.install(JS)


def validate(node: str, document: dict[str, Any], folder: Path) -> tuple[int, list[str]]:
    """Return the exit code of the parser and the lines it printed."""
    file = folder / "asyncapi.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    command = [node, "validate.mjs", str(file)]
    done = subprocess.run(command, cwd=JS, capture_output=True, text=True, timeout=60, check=False)
    assert not done.stderr
    return done.returncode, done.stdout.splitlines()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("host", ["localhost:8000", None])
def test_the_official_parser_has_neither_errors_nor_warnings(node: str, host: str | None, tmp_path: Path) -> None:
    code, lines = validate(node, asyncapi_document(title="Voztaxi", version="1.2.3", server_host=host), tmp_path)

    assert code == 0, lines
    assert not [line for line in lines if line.startswith(("error", "warning"))]
    assert lines[-1] == f"read {len(MESSAGES)} messages of 2 operations"


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("operations", "send", "messages", 0, "$ref"), "#/channels/chat/messages/nothing"),
        (("components", "schemas", "TurnEnd", "type"), "nothing"),
        (("channels", "chat", "bindings", "ws", "method"), "nothing"),
    ],
    ids=["message", "schema", "binding"],
)
def test_the_official_parser_refuses_a_broken_document(
    node: str, path: tuple[str | int, ...], value: str, tmp_path: Path
) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    *outer, last = path
    part = document
    for step in outer:
        part = part[step]
    part[last] = value

    code, lines = validate(node, document, tmp_path)

    assert code == 1
    assert any(line.startswith("error") for line in lines), lines


def test_the_lock_file_holds_no_address() -> None:
    assert "http" not in (JS / "package-lock.json").read_text(encoding="utf-8")
