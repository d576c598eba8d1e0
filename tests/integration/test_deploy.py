"""The files of ``deploy/`` against the server: what they set, run and copy exists, and the times fit together."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

import app
from app.cli import cli
from app.core.config import Settings

pytestmark = pytest.mark.integration

ROOT = Path(app.__file__).parents[1]
DEPLOY = ROOT / "deploy"
STOP_SECONDS = 15
"""What a stop takes beyond SHUTDOWN_GRACE_SECONDS, as docs/operations.md has it."""


def dockerfile() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines for line in [line.strip()]]


def compose() -> dict[str, Any]:
    """Return the services of the compose file."""
    services: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    return services


def manifests() -> dict[str, Any]:
    """Return the documents for Kubernetes by their kind."""
    text = (DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")
    return {each["kind"]: each for each in yaml.safe_load_all(text)}


def containers() -> Iterator[dict[str, Any]]:
    """Yield the containers of the Job and of the Deployment."""
    for kind in ("Job", "Deployment"):
        yield from manifests()[kind]["spec"]["template"]["spec"]["containers"]


def assert_settings(names: set[str]) -> None:
    assert names
    assert names <= {name.upper() for name in Settings.model_fields}


def assert_command(words: list[str]) -> None:
    assert words[0] == "voztaxi"
    assert words[1] in get_command(cli).commands  # type: ignore[attr-defined]


def seconds(text: str) -> int:
    match = re.fullmatch(r"(\d+)s", text)
    assert match
    return int(match[1])


def test_the_dockerfile_copies_what_exists_and_is_not_ignored() -> None:
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [
        word
        for kind, rest in dockerfile()
        if kind == "COPY" and "--from" not in rest
        for word in shlex.split(rest)[:-1]
    ]

    assert copied
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in allowed, name


def test_the_image_runs_the_server_as_somebody_without_rights() -> None:
    image = dockerfile()
    last = dict(image[max(index for index, (kind, _) in enumerate(image) if kind == "FROM") :])

    assert_command(json.loads(last["CMD"]))
    assert int(last["USER"]) > 0
    assert "/health" in last["HEALTHCHECK"]
    assert {"HOST=0.0.0.0", "PORT=8000"} <= set(last["ENV"].split())


def test_the_health_check_of_the_image_is_python() -> None:
    check = dict(dockerfile())["HEALTHCHECK"].partition("CMD ")[2]
    program = json.loads(check)

    assert program[:2] == ["python", "-c"]
    compile(program[2], "HEALTHCHECK", "exec")


def test_the_image_has_what_many_processes_need() -> None:
    extras = re.findall(r"--extra (\w+)", " ".join(rest for kind, rest in dockerfile() if kind == "RUN"))
    given = re.findall(r"^(\w+) = \[$", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)

    assert set(extras) == {"postgres", "redis", "otel"} <= set(given)


def test_compose_sets_what_exists_and_waits_long_enough() -> None:
    services = compose()
    for name in ("app1", "app2", "migrate"):
        assert_settings(set(services[name]["environment"]))
    for name in ("app1", "app2"):
        grace = services[name]["environment"]["SHUTDOWN_GRACE_SECONDS"]
        assert seconds(services[name]["stop_grace_period"]) >= grace + STOP_SECONDS
    assert_command(services["migrate"]["command"])
    assert services["migrate"]["restart"] == "no"
    assert {"--appendonly", "noeviction"} <= set(services["redis"]["command"])
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)


def test_what_compose_opens_is_on_loopback() -> None:
    ports = [port for service in compose().values() for port in service.get("ports", ())]

    assert ports == ["127.0.0.1:8080:8080"]


def test_nginx_asks_the_processes_of_compose() -> None:
    asked = re.findall(r"^ *server (\w+):(\d+)", (DEPLOY / "nginx.conf").read_text(encoding="utf-8"), re.MULTILINE)

    assert set(asked) == {(name, "8000") for name in compose() if name.startswith("app")}


def test_kubernetes_sets_what_exists_and_takes_secrets_by_reference() -> None:
    secrets = {name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    for container in containers():
        assert_settings({each["name"] for each in container["env"]})
        for each in container["env"]:
            if each["name"] in secrets | {"DATABASE_URL"}:
                assert each["valueFrom"]["secretKeyRef"]["key"] == each["name"]
                assert "value" not in each


def test_kubernetes_waits_for_a_stop() -> None:
    pod = manifests()["Deployment"]["spec"]["template"]["spec"]
    [server] = pod["containers"]
    before = int(server["lifecycle"]["preStop"]["exec"]["command"][1])
    [grace] = [int(each["value"]) for each in server["env"] if each["name"] == "SHUTDOWN_GRACE_SECONDS"]

    assert pod["terminationGracePeriodSeconds"] == before + grace + STOP_SECONDS


def test_kubernetes_runs_what_exists_and_keeps_one_of_two() -> None:
    kinds = manifests()
    job, server = containers()
    labels = kinds["Deployment"]["spec"]["template"]["metadata"]["labels"]

    assert set(kinds) == {"Job", "Deployment", "PodDisruptionBudget", "Service"}
    assert_command(job["command"])
    assert server["image"] == job["image"]
    assert server["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert kinds["Deployment"]["spec"]["replicas"] == 2
    assert kinds["PodDisruptionBudget"]["spec"]["minAvailable"] == 1
    assert kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert kinds["Service"]["spec"]["selector"] == labels
    assert kinds["Service"]["spec"]["sessionAffinity"] == "ClientIP"  # or polls of Socket.IO go astray


def test_the_image_of_kubernetes_has_the_version_of_the_project() -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)

    assert version
    assert {container["image"] for container in containers()} == {f"voztaxi:{version[1]}"}
