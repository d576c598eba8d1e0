"""The documents against the code: settings, types, codes, tools, commands, links."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr

import app
from app.api import close_codes
from app.api.asyncapi import EVENTS, INPUTS, asyncapi_document, kind_of
from app.api.close_codes import Close
from app.api.v1.dispatch import RideEvent
from app.cli.fleet import DEVELOPMENT_SECRET
from app.core.config import Settings
from app.core.signatures import read_signer
from app.models.booking import Booking, BookingCode, BookingStatus
from app.models.canvas import Circle, Clear, Color, Line, Rect, Text
from app.models.canvas import Path as CanvasPath
from app.models.delivery import dispatch_id
from app.models.events import EVENT, TurnEvent
from app.models.explanations import SentEvent
from app.taxi.agents import AGENTS
from app.turns.lifecycle import Lifecycle, Phase

pytestmark = pytest.mark.integration

ROOT = Path(app.__file__).parents[1]
READMES = ("README.md", "README.es.md")
DOCUMENTS = (
    *READMES,
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "examples/README.md",
    *sorted(f"docs/{file.name}" for file in ROOT.glob("docs/*.md")),
)
TYPES = [kind_of(model) for model in (*EVENTS, *INPUTS)]

_SETTING = re.compile(r"^# ([A-Z][A-Z0-9_]*)=(.*)$")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_OF_THIS_REPOSITORY = re.compile(
    r"(?:\./|\.\./)?(?:app|tests|docs|scripts|\.ci)/[\w./-]*|[\w-]+\.(?:py|html|lock|toml|md)"
)
_MADE_LATER = frozenset({"uv.lock"})
"""Files that are named and not committed."""


def read(name: str) -> str:
    """Return a document."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, *kinds: str) -> list[str]:
    """Return the fenced blocks of these languages."""
    return [body for kind, body in _FENCE.findall(read(name)) if kind in kinds]


def slugs(text: str) -> set[str]:
    """Return the anchors of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every setting out of the environment."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


# Settings.


def test_the_example_of_settings_holds_each_one_with_its_default_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset(monkeypatch)
    given = [match for line in read(".env.example").splitlines() if (match := _SETTING.match(line))]
    names = [match[1] for match in given]
    uncommented = tmp_path / "all.env"
    uncommented.write_text("\n".join(f"{match[1]}={match[2]}" for match in given), encoding="utf-8")

    read_back = Settings(_env_file=uncommented)

    assert sorted(names) == sorted(name.upper() for name in Settings.model_fields)
    assert read_back == Settings(_env_file=None)
    not_given = {match[1].lower() for match in given if match[2] == ""}
    assert not_given == {name for name, field in Settings.model_fields.items() if field.default in (None, ())}


def test_each_setting_of_the_example_is_commented_out_and_explained_in_the_line_above() -> None:
    lines = read(".env.example").splitlines()

    assert all(line == "" or line.startswith("# ") for line in lines)
    for above, line in pairwise(lines):
        if _SETTING.match(line):
            assert above.endswith("."), line
            assert not _SETTING.match(above), line


@pytest.mark.parametrize("name", READMES)
def test_the_settings_in_a_readme_have_their_defaults(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    unset(monkeypatch)
    rows = re.findall(r"^\| `([A-Z_]+)` \| (?:`([^`]*)`)? ?\|", read(name), re.MULTILINE)
    example = dict(match.groups() for line in read(".env.example").splitlines() if (match := _SETTING.match(line)))

    assert len(rows) > 10
    assert dict(rows).items() <= example.items()


# What crosses the wire.


@pytest.mark.parametrize("name", [*READMES, "docs/protocol.md"])
def test_every_type_of_the_websocket_is_named(name: str) -> None:
    named = set(_CODE.findall(read(name)))

    assert set(TYPES) <= named


def test_the_protocol_names_every_field_of_every_type() -> None:
    named = set(re.findall(r"\w+", " ".join(_CODE.findall(read("docs/protocol.md")))))
    fields = {field.alias or name for model in (*EVENTS, *INPUTS) for name, field in model.model_fields.items()}

    assert fields <= named


def test_the_protocol_names_every_code_close_code_tool_and_status() -> None:
    text = read("docs/protocol.md")
    description = asyncapi_document(title="", version="", server_host=None)["channels"]["chat"]["description"]
    codes = set(re.findall(r"^- `([a-z_]+)` ", description, re.MULTILINE))
    closes = {str(close.code) for close in vars(close_codes).values() if isinstance(close, Close)}
    tools = {tool.__name__ for agent in AGENTS.values() for tool in agent.tools}

    assert codes
    assert codes <= set(_CODE.findall(text))
    assert closes == set(re.findall(r"^\| (\d{4}) \|", text, re.MULTILINE))
    assert tools == set(re.findall(r"^\| `([A-Z]\w+)` \|", text, re.MULTILINE))
    assert set(get_args(BookingStatus)) <= set(_CODE.findall(text))


def test_the_protocol_says_of_each_event_whether_it_is_logged() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (yes|no) \|$", read("docs/protocol.md"), re.MULTILINE)

    assert dict(rows) == {kind_of(model): "yes" if model.replayable else "no" for model in EVENTS}


def test_the_example_of_a_turn_is_a_turn() -> None:
    (example,) = blocks("README.md", "json")
    lifecycle = Lifecycle()
    seqs = []
    for line in example.splitlines():
        frame = json.loads(line)
        seqs.append(frame.pop("seq"))
        event = EVENT.validate_python({"ts": 0, "thread_id": "t", "turn_id": "u", **frame})
        assert isinstance(event, TurnEvent)
        lifecycle.accept(event)

    assert lifecycle.phase is Phase.ENDED
    assert seqs == sorted(set(seqs))


# The documents among themselves.


def test_both_readmes_have_the_same_commands_settings_examples_and_headings() -> None:
    english, spanish = (blocks(name, "sh", "ini", "json") for name in READMES)
    levels = [re.findall(r"^(#+) ", _FENCE.sub("", read(name)), re.MULTILINE) for name in READMES]

    assert english
    assert english == spanish
    assert levels[0] == levels[1]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_of_a_document_leads_somewhere(name: str) -> None:
    text = read(name)
    for link in _LINK.findall(_FENCE.sub("", text)):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name

        assert target.exists(), link
        assert not anchor or anchor in slugs(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_file_that_a_document_names_exists(name: str) -> None:
    files = {path.relative_to(ROOT).as_posix() for folder in ("app", "tests") for path in (ROOT / folder).rglob("*.py")}
    for code in _CODE.findall(_FENCE.sub("", read(name))):
        if not _OF_THIS_REPOSITORY.fullmatch(code) or code in _MADE_LATER:
            continue

        found = (ROOT / code).exists() or any(file.endswith(f"/{code}") for file in files)
        assert found or (ROOT / "docs" / code).exists(), code


@pytest.mark.parametrize("name", READMES)
def test_the_two_commands_come_first(name: str) -> None:
    assert blocks(name, "sh")[:2] == ["scripts/run\n", "scripts/test\n"]


def test_the_changelog_has_the_version_of_the_project() -> None:
    version = re.search(r'^version = "(.+)"$', read("pyproject.toml"), re.MULTILINE)

    assert version
    assert re.search(rf"^## \[{re.escape(version[1])}\] - \d{{4}}-\d\d-\d\d$", read("CHANGELOG.md"), re.MULTILINE)


# Dispatch.


def test_the_signed_examples_are_signed() -> None:
    signer = read_signer(SecretStr(DEVELOPMENT_SECRET))
    sent, told = blocks("docs/dispatch.md", "http")
    for example, ours in ((sent, True), (told, False)):
        head, _, body = example.partition("\n\n")
        headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
        at = int(headers["webhook-timestamp"])
        assert signer.verify(headers, body.strip().encode(), now=at) == headers["webhook-id"]
        assert headers.get("Idempotency-Key", headers["webhook-id"]) == headers["webhook-id"]
        if ours:
            fields = json.loads(body)
            booking = Booking(**fields, thread_id="t", status="accepted", request_key="k")
            assert booking.model_dump(mode="json", include=set(fields)) == fields
            assert dispatch_id(booking.booking_id) == headers["Idempotency-Key"]
        else:
            assert RideEvent.model_validate_json(body).timestamp.timestamp() == at


def test_the_page_on_dispatch_names_each_of_its_settings_and_events() -> None:
    named = set(_CODE.findall(read("docs/dispatch.md")))

    assert {name.upper() for name in Settings.model_fields if name.startswith(("dispatch", "fleet"))} <= named
    assert set(get_args(RideEvent.model_fields["type"].annotation)) <= named
    assert set(get_args(BookingCode)) <= named


# Explanations.


def test_the_page_on_explanations_names_each_event_and_field() -> None:
    named = set(_CODE.findall(read("docs/explanations.md")))
    for event in get_args(SentEvent):
        fields = {field.serialization_alias or name for name, field in event.model_fields.items() if name != "type"}

        assert {event.model_fields["type"].default, *fields} <= named, event


def test_the_page_on_explanations_names_each_code_that_its_source_gives() -> None:
    files = [file for pattern in ("explanation*.py", "questions.py") for file in (ROOT / "app/services").glob(pattern)]
    given = {code for file in files for code in re.findall(r'\bcode="([a-z_]+)"', file.read_text(encoding="utf-8"))}

    assert given
    assert given <= set(re.findall(r"`([a-z_]+)`", read("docs/explanations.md")))


def test_the_page_on_explanations_names_each_command_with_its_defaults() -> None:
    rows = dict(
        re.findall(r"^\| `(\w+)` \| (.*) \|$", read("docs/explanations.md").partition("## Drawing")[2], re.MULTILINE)
    )
    for command in (Clear, Line, Rect, Circle, CanvasPath, Text):
        row = rows.pop(command.model_fields["op"].default)
        for name, field in command.model_fields.items():
            if name in ("at", "op"):
                continue
            assert f"`{name}`" in row, (command, name)
            if not field.is_required() and name != "align":
                assert re.search(rf"`{name}`(?: \(\w+\))? {json.dumps(field.default).strip(chr(34))}\b", row), (
                    command,
                    name,
                )

    assert list(rows) == ["op"]
    assert set(get_args(Color)) <= set(_CODE.findall(read("docs/explanations.md")))
