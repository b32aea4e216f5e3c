"""The page about production, followed: the example is deployed with gunicorn behind nginx."""

from __future__ import annotations

import contextlib
import json
import logging.config
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.server.switch.processes import wait_for

from .conftest import PROJECT, REPOSITORY, environment, run
from .test_settings import PRODUCTION

pytestmark = pytest.mark.programs

PAGE = (REPOSITORY / "docs" / "howto" / "production.md").read_text()
NGINX = (PROJECT / "deploy" / "nginx.conf").read_text()
HOST = "crm.example.com"
DEPLOYED = {
    **PRODUCTION,
    "DJANGO_BEHIND_TLS_PROXY": "1",
    "CRM_TRUSTED_PROXIES": "127.0.0.1",
    "CRM_HEALTH_TOKEN": "monitors-secret",
    "CRM_LOG": "json",
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a deployment that is migrated, with its static files."""
    var = tmp_path_factory.mktemp("deployed")
    for command in (("migrate", "--verbosity=0"), ("collectstatic", "--no-input")):
        assert command[0] in PAGE
        done = run("manage.py", *command, var=var, **DEPLOYED)
        assert done.returncode == 0, done.stderr
    return var


@pytest.fixture(scope="module")
def gunicorn(var: Path) -> Iterator[int]:
    """The port of the page's own web server command, with this site."""
    [arguments] = re.findall(r"`gunicorn (crm\.wsgi [^`]+)`", PAGE)
    port = free_port()
    assert "127.0.0.1:8000" in arguments
    command = arguments.replace("127.0.0.1:8000", f"127.0.0.1:{port}").split()
    log = (var / "gunicorn.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *command],
        cwd=PROJECT,
        env=environment(var, **DEPLOYED),
        stdout=log,
        stderr=log,
    )
    try:
        wait_until_served(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(30)
        log.close()


@pytest.fixture(scope="module")
def nginx(gunicorn: int, var: Path) -> Iterator[int]:
    """The port of nginx with the example's configuration: only paths and ports are changed."""
    program = shutil.which("nginx") or ""
    folder = var / "nginx"
    folder.mkdir()
    certificate(folder)
    plain, encrypted = free_port(), free_port()
    site = re.sub(r"^    listen \[::\].*\n", "", NGINX, flags=re.MULTILINE)
    for old, new in (
        ("listen 80 ", f"listen 127.0.0.1:{plain} "),
        ("listen 443 ", f"listen 127.0.0.1:{encrypted} "),
        ("127.0.0.1:8000", f"127.0.0.1:{gunicorn}"),
        ("/etc/nginx/tls", str(folder)),
        ("/srv/crm/var/static/", f"{var}/static/"),
    ):
        assert old in site
        site = site.replace(old, new)
    (folder / "site.conf").write_text(site)
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; user root;\n"
        "events {}\n"
        f"http {{ include /etc/nginx/mime.types; access_log {folder}/access.log;\n"
        f"include {folder}/site.conf; }}\n"
    )
    tested = subprocess.run(
        [program, "-t", "-c", str(config), "-p", str(folder)], capture_output=True, text=True
    )
    assert tested.returncode == 0, tested.stderr
    process = subprocess.Popen([program, "-c", str(config), "-p", str(folder)])
    try:
        wait_until_served(encrypted, process)
        yield encrypted
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)


def certificate(folder: Path) -> None:
    """A certificate for the site's host."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"),
            *("-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")),
        ],
        check=True,
        capture_output=True,
    )


def wait_until_served(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    pytest.fail("The server did not start.")


def get(port: int, path: str, scheme: str = "https", **headers: str) -> requests.Response:
    return requests.get(
        f"{scheme}://127.0.0.1:{port}{path}",
        headers={"Host": HOST, **headers},
        verify=False,  # of the test's own certificate
        allow_redirects=False,
        timeout=30,
    )


def test_the_deployment_check_of_the_page_is_clean(var: Path) -> None:
    assert "python manage.py check --deploy" in PAGE

    done = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", var=var, **DEPLOYED)

    assert done.returncode == 0, done.stderr


@pytest.mark.needs("nginx", "openssl")
@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_nginx_serves_the_static_files_and_the_site(nginx: int, var: Path) -> None:
    script = get(nginx, "/static/poketalk/call.js")
    page = get(nginx, "/login/")
    secure = get(nginx, "/")

    assert script.status_code == 200
    assert "javascript" in script.headers["Content-Type"]
    assert script.content == (var / "static" / "poketalk" / "call.js").read_bytes()
    assert page.status_code == 200
    assert secure.headers["Location"].startswith("/login/")
    assert "max-age" in page.headers["Strict-Transport-Security"]


@pytest.mark.needs("nginx", "openssl")
@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_the_service_answers_behind_nginx_and_monitors_need_the_token(nginx: int) -> None:
    health = get(nginx, "/api/health/", Authorization="Bearer monitors-secret")

    assert health.json()["problems"] == ["no_switch", "no_gateway"]
    assert get(nginx, "/api/health/").status_code == 401


@pytest.mark.needs("nginx", "openssl")
@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_events_are_not_in_the_access_log(nginx: int, var: Path) -> None:
    assert get(nginx, "/poketalk/events/7-600--secret-secret-secret/?status=1").status_code == 404
    assert get(nginx, "/login/?seen").status_code == 200

    file = var / "nginx" / "access.log"
    wait_for(lambda: "/login/?seen" in file.read_text())  # nginx responds before it logs
    assert "secret-secret" not in file.read_text()


def test_gunicorn_alone_redirects_to_https(gunicorn: int) -> None:
    assert get(gunicorn, "/login/", "http").status_code == 301
    behind = {"X-Forwarded-Proto": "https"}
    assert get(gunicorn, "/login/", "http", **behind).status_code == 200


def test_the_doctor_of_the_deployment_finds_what_is_missing(var: Path) -> None:
    done = run("manage.py", "poketalk_doctor", "--json", "--timeout", "2", var=var, **DEPLOYED)

    found = {each["check"]: each["level"] for each in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1
    assert (found["static_files"], found["clock"], found["settings"]) == ("ok", "ok", "ok")
    assert (found["worker"], found["switches"]) == ("error", "error")


def test_the_logging_of_the_page_is_valid() -> None:
    blocks = re.findall(r"```python\n(LOGGING = .*?)```", PAGE, re.DOTALL)

    assert blocks
    for block in blocks:
        names: dict[str, object] = {}
        exec(block, names)
        logging.config.DictConfigurator(names["LOGGING"])  # type: ignore[arg-type]
