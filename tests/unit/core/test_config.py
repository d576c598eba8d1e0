"""Settings refuse at the start what could only fail later."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.core.config import Settings

pytestmark = pytest.mark.unit


def test_without_anything_set_it_runs_offline_on_sqlite_on_this_machine() -> None:
    settings = Settings()

    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.model_kind == "offline"
    assert settings.checkpointer_kind == "sqlite"
    assert not settings.in_memory


def test_a_key_means_openai_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    settings = Settings()

    assert settings.model_kind == "openai"
    assert "sk-secret" not in repr(settings)
    assert "sk-secret" not in settings.model_dump_json()


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("memory://", "memory"),
        ("sqlite+aiosqlite:///voztaxi.db", "sqlite"),
        ("postgresql+asyncpg://me@host/taxis", "postgres"),
    ],
)
def test_checkpoints_follow_the_database_unless_they_are_told(url: str, kind: str) -> None:
    assert Settings(database_url=url).database_kind == kind
    assert Settings(database_url=url).checkpointer_kind == kind
    given = {"database_url": url, "redis_url": "redis://host", "checkpointer_type": "redis"}
    assert Settings(**given).checkpointer_kind == "redis"  # type: ignore[arg-type]


def test_the_password_of_a_database_is_never_shown() -> None:
    settings = Settings(database_url="postgresql+asyncpg://me:open-sesame@host/taxis")

    assert "open-sesame" not in repr(settings)
    assert "open-sesame" not in settings.model_dump_json()
    assert settings.shown_database_url == "postgresql+asyncpg://me:***@host/taxis"


def test_an_empty_value_is_no_value(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=\nLLM_TEMPERATURE=\nPORT=9000\n")
    settings = Settings()

    assert (settings.model_kind, settings.llm_temperature, settings.port) == ("offline", None, 9000)


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVERAGE", "Barranquilla, Malambo ,")

    assert Settings().coverage == ("Barranquilla", "Malambo")


@pytest.mark.parametrize(
    "given",
    [
        {"llm": "openai"},
        {"database_url": "mysql://x/y"},
        {"database_url": "nonsense"},
        {"database_url": "sqlite+aiosqlite://"},
        {"database_url": "sqlite+aiosqlite:///:memory:"},
        {"database_url": "sqlite+aiosqlite:///missing/folder/voztaxi.db"},
        {"port": 70000},
        {"database_url": "postgresql://h/d"},
        {"checkpointer_type": "floppy"},
        {"checkpointer_type": "postgres"},
        {"checkpointer_type": "redis"},
        {"database_pool_size": 0},
        {"max_text_chars": 0},
    ],
    ids=str,
)
def test_what_cannot_work_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings(**given)  # type: ignore[arg-type]


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "may_start"),
    [
        ({}, True),
        ({"host": "localhost"}, True),
        ({"host": "127.0.0.2"}, True),
        ({"host": "::1"}, True),
        ({"host": "0.0.0.0"}, False),
        ({"host": "::"}, False),
        ({"host": "192.168.1.7"}, False),
        ({"host": "taxi.example"}, False),
        ({"host": "0.0.0.0", "auth_required": True}, True),
        ({"host": "0.0.0.0", "allow_insecure": "auth_off"}, True),
    ],
)
def test_an_address_that_others_reach_needs_logins_or_a_word_that_it_does_not(
    given: dict[str, object], may_start: bool
) -> None:
    assert (Settings(**given).exposure is None) == may_start  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [
        {"allow_insecure": "everything"},
        {"jwt_algorithm": "none"},
        {"jwt_algorithm": "RS256"},
        {"jwt_private_key_file": "key.pem"},
        {"jwt_jwks_url": "provider.example"},
        {"access_token_seconds": 0},
    ],
)
def test_settings_of_logins_that_make_no_sense_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings(**given)  # type: ignore[arg-type]
