"""Tests whose service is missing are skipped, and fail on CI."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.needs import (
    COMPOSE,
    NEEDS,
    POSTGRES,
    ROOT,
    SERVICES,
    Libraries,
    Module,
    NodePackage,
    Service,
)

Run = Callable[..., pytest.RunResult]
CI = ROOT / ".ci"


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A function that runs a test that needs Redis in another pytest, with this environment."""

    def run(needs: str = "redis", **environment: str) -> pytest.RunResult:
        for variable in ("CI", "CELERY_BROKER_URL"):
            monkeypatch.delenv(variable, raising=False)
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        pytester.makepyfile(f"""
            import pytest

            @pytest.mark.needs({needs!r})
            def test_it():
                pass
        """)
        return pytester.runpytest_inprocess("-p", "tests.needs", "-p", "no:django", "-rs")

    return run


@pytest.fixture
def open_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is reserved, so that no other process listens on it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_runs_a_test_whose_service_is_available(run: Run, open_port: int) -> None:
    result = run(CELERY_BROKER_URL=f"redis://127.0.0.1:{open_port}/0", CI="true")

    result.assert_outcomes(passed=1)


def test_skips_without_the_service_and_names_the_command_to_install_it(
    run: Run, closed_port: int
) -> None:
    result = run(CELERY_BROKER_URL=f"redis://127.0.0.1:{closed_port}/0")

    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        f"*redis does not answer at 127.0.0.1:{closed_port}*apt-get install redis-server*"
    )


@pytest.mark.parametrize("ci", ["true", "1"])
def test_fails_on_ci_without_the_service(run: Run, closed_port: int, ci: str) -> None:
    result = run(CELERY_BROKER_URL=f"redis://127.0.0.1:{closed_port}/0", CI=ci)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines("*redis does not answer*apt-get install redis-server*")


def test_skips_without_the_program_and_names_the_command_to_install_it(
    run: Run, tmp_path: Path
) -> None:
    result = run(needs="chromium", PATH=str(tmp_path))

    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines("*chromium is not in the PATH*apt-get install*chromium*")


def test_finds_a_program_under_any_of_its_names(run: Run, tmp_path: Path) -> None:
    (browser := tmp_path / "google-chrome").touch(mode=0o755)

    run(needs="chromium", PATH=str(browser.parent), CI="true").assert_outcomes(passed=1)


def test_the_url_of_another_service_does_not_change_the_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://cache.example.com:7000/0")

    assert SERVICES["redis"].address() == ("cache.example.com", 7000)
    assert SERVICES["rabbitmq"].address() == ("127.0.0.1", 5672)


def test_rejects_an_unknown_service(run: Run) -> None:
    result = run(needs="rediss")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines("*needs 'rediss', which is none of postgresql, *")


def test_a_run_that_finds_no_test_fails(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")

    result = pytester.runpytest_inprocess(
        "-p", "no:django", "-n", "2", "-k", "nothing_of_that_name"
    )

    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_package_of_another_version_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.needs.ROOT", tmp_path)
    package = NodePackage("some-package", "1.2.3")
    assert package.missing() == "is not in node_modules/"

    package.folder.mkdir(parents=True)
    (package.folder / "package.json").write_text('{"version": "1.2.4"}')
    assert package.missing() == "is version 1.2.4, not 1.2.3"

    (package.folder / "package.json").write_text('{"version": "1.2.3"}')
    assert package.missing() == ""


def test_docker_without_the_plugin_is_not_compose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\nexit 1\n")
    docker.chmod(0o755)
    assert COMPOSE.missing() == "is neither a program nor a plugin of docker"

    docker.write_text('#!/bin/sh\ntest "$*" = "compose version"\n')
    assert COMPOSE.command() == ["docker", "compose"]
    assert COMPOSE.missing() == ""


def test_a_library_that_cannot_be_loaded_is_missing() -> None:
    assert Libraries(("libc.so.6",), "libc6").missing() == ""
    assert Libraries(("libc.so.6", "libnone.so.9"), "none").missing() == "lacks libnone.so.9"


@pytest.mark.skipif(not CI.is_dir(), reason="The tests run without the rest of the checkout.")
def test_ci_installs_what_the_tests_require() -> None:
    script = re.sub(r"(^|\s)#.*", "", (CI / "packages").read_text())
    lists = re.findall(r"^program (\S+)|=\(([^\"()]*)\)|^npm install (.*)", script, re.MULTILINE)
    installed = {word for found in lists for words in found for word in words.split()}
    for name, need in NEEDS.items():
        if not isinstance(need, Service | Module) and need is not POSTGRES:
            required = need.install.partition(" install ")[2].split()
            names = {word for word in required if not word.startswith("-") and word != "."}
            assert names <= installed, name
    required_servers = set(re.findall(r"answers \w+ \d+ (\S+)", (CI / "run").read_text()))
    assert {need.install.split()[-1] for need in SERVICES.values()} == required_servers


@pytest.mark.skipif(not CI.is_dir(), reason="The tests run without the rest of the checkout.")
def test_every_job_that_runs_tests_installs_what_they_require() -> None:
    jobs = (ROOT / ".github" / "workflows" / "ci.yml").read_text().partition("\njobs:\n")[2]
    for job in re.split(r"^  (?=[\w-]+:$)", jobs, flags=re.MULTILINE)[1:]:
        runs_tests = re.search(r"tox run -e \"?(py|browser)", job)
        assert ("sudo .ci/packages" in job) == bool(runs_tests), job
