"""The files in example_project/deploy: programs that read them accept them, and all commands,
files and variables that they name exist.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.example.conftest import PROJECT, REPOSITORY, run
from tests.needs import COMPOSE

DEPLOY = PROJECT / "deploy"
FILE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = FILE["services"]
OURS = {"migrate", "web", "worker", "beat", "switch-1", "switch-2"}
DEBUG = {"DJANGO_SETTINGS_MODULE": "crm.settings", "DJANGO_DEBUG": "1"}
OPTIONS = """
import json, sys
import django
django.setup()
from django.core.management import get_commands, load_command_class
found = {}
for name in sys.argv[1:]:
    command = load_command_class(get_commands()[name], name)
    actions = command.create_parser("manage.py", name)._actions
    found[name] = [option for action in actions for option in action.option_strings]
print(json.dumps(found))
"""
UNITS = sorted((DEPLOY / "systemd").iterdir())
VARIABLE = re.compile(r"^\| ((?:`[A-Z_…]+`(?:, )?)+) \|", re.MULTILINE)


def commands() -> Iterator[list[str]]:
    """The commands of our own processes, in the containers and in the units."""
    for service in SERVICES.values():
        command = service.get("command", [])
        if command[:2] == ["sh", "-c"]:
            yield from (shlex.split(part) for part in command[2].split("&&"))
        elif command:
            yield command
    for unit in UNITS:
        for line in re.findall(
            r"^ExecStart=/srv/crm/env/bin/(.+)$", unit.read_text(), re.MULTILINE
        ):
            yield shlex.split(line)


def documented() -> set[str]:
    readme = (DEPLOY / "README.md").read_text()
    return {name for cell in VARIABLE.findall(readme) for name in re.findall(r"`([^`]+)`", cell)}


def test_compose_starts_every_process() -> None:
    assert {*OURS, "postgres", "redis", "kamailio", "proxy"} == set(SERVICES)


def test_compose_and_units_start_the_same_processes() -> None:
    def kind(command: list[str]) -> tuple[str, ...]:
        if command[0] == "celery":
            return tuple(command[:4])
        return tuple(command[:3])

    all_commands = [kind(each) for each in commands()]
    for each in set(all_commands):
        assert all_commands.count(each) >= 2, each
    assert len(set(all_commands)) == 6


def test_every_command_exists(tmp_path: Path) -> None:
    ours = [command[2:] for command in commands() if command[:2] == ["python", "manage.py"]]
    assert {command[0] for command in commands()} == {"python", "gunicorn", "celery"}
    done = run("-c", OPTIONS, *(name for name, *_ in ours), var=tmp_path, **DEBUG)
    assert done.returncode == 0, done.stderr
    options = json.loads(done.stdout)

    for name, *given in ours:
        wanted = {part for part in given if part.startswith("--")}
        assert wanted <= set(options[name]), name


def test_every_file_exists() -> None:
    mounts = [
        mount.split(":")[0]
        for service in SERVICES.values()
        for mount in service.get("volumes", [])
        if mount.startswith(".")
    ]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.M)
    sources = [source for line in copied for source in line.split()]

    assert len(mounts) == 4
    for mount in mounts:
        assert (DEPLOY / mount).exists() or mount == "./tls", mount
    assert len(sources) == 6
    for source in sources:
        assert (REPOSITORY / source).exists(), source
    for service in SERVICES.values():
        assert "build" not in service or (DEPLOY / service["build"]["context"]).samefile(REPOSITORY)


def test_named_volumes_and_dependencies_are_declared() -> None:
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", ())) <= set(SERVICES), name
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source.startswith(".") or source in FILE["volumes"], name


def test_every_variable_is_documented_and_read() -> None:
    example = (DEPLOY / "environment.example").read_text()
    given = set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    crm = "".join(path.read_text() for path in (PROJECT / "crm").glob("*.py"))
    read = crm + (DEPLOY / "compose.yaml").read_text()

    assert len(given) > 8
    patterns = {name for name in documented() if name.endswith("…")}
    assert {name for name in given if not name.startswith("POKETALK_GATEWAY_")} <= documented()
    assert patterns == {"POKETALK_GATEWAY_…"}
    for name in documented() - patterns:
        assert name in read or name.removeprefix("CRM_") in read, name


def test_every_variable_of_the_settings_is_documented() -> None:
    settings = (PROJECT / "crm" / "settings.py").read_text()
    named = set(re.findall(r'"((?:CRM|DJANGO|POKETALK)_[A-Z_]+|DATABASE_URL)"', settings))
    optional = {"DJANGO_DEBUG", "DJANGO_SSL_REDIRECT", "DJANGO_SECURE_COOKIES", "DJANGO_HSTS"}

    assert len(named) > 10
    assert named - optional - {"CRM_QUEUE"} <= documented()


@pytest.mark.needs("compose")
def test_docker_compose_accepts_its_file(tmp_path: Path) -> None:
    copy = tmp_path / "example_project" / "deploy"
    shutil.copytree(DEPLOY, copy)
    example = (copy / "environment.example").read_text()
    (copy / "environment").write_text(example.replace("PASSWORD=", "PASSWORD=secret"))
    # Debian's old docker-compose does not know the name of the project
    file = (copy / "compose.yaml").read_text().replace("name: crm\n", "")
    (copy / "compose.yaml").write_text(file)

    done = _run(*COMPOSE.command(), "--env-file", "environment", "config", cwd=copy)

    assert (done.returncode, done.stderr) == (0, "")
    services = yaml.safe_load(done.stdout)["services"]
    assert set(services) == set(SERVICES)
    for name in OURS:
        assert services[name]["environment"]["DATABASE_URL"] == "postgres://crm:secret@postgres/crm"


@pytest.mark.needs("systemd")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    program = tmp_path / "env" / "bin" / "program"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for name in ("python", "gunicorn", "celery"):
        program.with_name(name).symlink_to(program)
    units = []
    for unit in UNITS:
        copy = tmp_path / unit.name
        copy.write_text(unit.read_text().replace("/srv/crm/env", str(tmp_path / "env")))
        units.append(str(copy).replace("@.", "@1."))
    (tmp_path / "crm-switch@1.service").symlink_to(tmp_path / "crm-switch@.service")

    done = _run("systemd-analyze", "verify", "--recursive-errors=no", *units)

    ours = [line for line in done.stderr.splitlines() if "crm" in line]
    assert ours == []


@pytest.mark.needs("kamailio")
def test_kamailio_accepts_the_configuration_of_the_edge(tmp_path: Path) -> None:
    result = tmp_path / "kamailio.cfg"
    trunk = "sip:trunk.example.net:5060;transport=tcp"
    environment = {
        **os.environ,
        "EDGE": "127.0.0.1:5099",
        "TRUNK": trunk,
        "CONFIG": str(REPOSITORY / "docs" / "howto" / "sip" / "kamailio-edge.cfg"),
        "RESULT": str(result),
    }

    done = _run("sh", str(DEPLOY / "kamailio.sh"), "-c", env=environment)

    assert done.returncode == 0, done.stderr
    assert "config file ok" in done.stdout + done.stderr
    assert f'!TRUNK!{trunk}!g"' in result.read_text()
    assert "!EDGE!127.0.0.1:5099!g" in result.read_text()


def _run(*command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
