"""Logs say what happened and not what was said."""

import json
import logging
from pathlib import Path

import pytest
import structlog

from app.core.logging import configure_logging

pytestmark = pytest.mark.unit


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_what_people_said_is_masked_unless_asked_for(log_file: Path) -> None:
    configure_logging(level="INFO", style="json", file=log_file, personal=False)
    structlog.stdlib.get_logger("x").info("heard", pii_text="Calle 72 #43-25", characters=15)
    configure_logging(level="INFO", style="json", file=log_file, personal=True)
    structlog.stdlib.get_logger("x").info("heard", pii_text="Calle 72 #43-25")
    masked, shown = lines(log_file)

    assert masked["characters"] == 15
    assert "72" not in json.dumps(masked["pii_text"])
    assert shown["pii_text"] == "Calle 72 #43-25"


def test_a_traceback_holds_no_local_variables(log_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="INFO", style="console", file=log_file, personal=False)

    def fail() -> None:
        api_key = "sk-secret"
        raise ValueError(len(api_key))

    try:
        fail()
    except ValueError:
        structlog.stdlib.get_logger("x").exception("failed")

    assert "ValueError" in capsys.readouterr().err
    assert "ValueError" in str(lines(log_file)[0]["exception"])
    assert 'sk-secret"' not in log_file.read_text().replace('api_key = "sk-secret"', "")


def test_other_libraries_go_the_same_way(log_file: Path) -> None:
    configure_logging(level="WARNING", style="json", file=log_file, personal=False)
    logging.getLogger("uvicorn.error").warning("from %s", "uvicorn")
    logging.getLogger("somebody").info("too quiet")

    assert [line["event"] for line in lines(log_file)] == ["from uvicorn"]


def test_ids_are_bound_once_and_are_on_every_line(log_file: Path) -> None:
    configure_logging(level="INFO", style="json", file=log_file, personal=False)
    with structlog.contextvars.bound_contextvars(thread_id="t", turn_id="u"):
        structlog.stdlib.get_logger("x").info("one")
        structlog.stdlib.get_logger("y").info("two")

    assert [(line["thread_id"], line["turn_id"]) for line in lines(log_file)] == [("t", "u")] * 2
