"""The page about the service, followed from an empty machine: everything that it says is done, in
a folder instead of `/`, except what `SKIPPED` names.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.example.conftest import NOT_INHERITED
from tests.example.test_production import free_port, get, wait_until_served
from tests.own_postgresql import OWNER, OwnPostgreSQL

from . import tree

pytestmark = [
    pytest.mark.programs,
    pytest.mark.needs("curl", "nginx", "openssl", "postgres"),
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request"),
    pytest.mark.timeout(300),
]

PIP = "env/bin/python -m pip"
# What would change the machine that runs the tests, or needs the internet
SKIPPED = {
    "apt-get update",
    "apt-get install",
    "useradd --system",
    PIP,  # the packages of the tests are used instead
    "systemctl daemon-reload",
    "systemctl enable",
    "systemctl reload",
    "certbot certonly",
    "nginx -t",  # the configuration is tested, and used, with ports of the test
}
HOST = "calls.example.com"
PAGE = (tree.ROOT / "docs" / "howto" / "service.md").read_text()
[SECTION] = re.findall(r"^## From an empty machine\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
FILE = re.compile(r"(Replace|[Cc]reate|Add to the end of) `([\w./-]+)`:\s*$")
# What the next section does in the admin, and a call whose first phone is busy
ACCOUNT = """
from tests.server.conftest import make_customer
customer = make_customer("First")
customer.account.addresses.update(network="203.0.113.7")
print(customer.secret)
"""
CALLER, CALLEE = "442079460701", "442079460011"


def words(command: str) -> str:
    """The name of a command by which it is skipped: its first two words, or all with `-m`."""
    return re.match(r"\S+ (-m )?\S+", command)[0]  # type: ignore[index]


@dataclass
class Machine:
    """A folder with the files of the page, and the ports that stand for its own."""

    folder: Path
    postgresql: OwnPostgreSQL
    skipped: set[str] = field(default_factory=set)
    output: str = ""

    def __post_init__(self) -> None:
        self.web, self.http, self.https, self.health = (free_port() for _ in range(4))
        self.home = self.folder / "srv" / "calls"

    def here(self, text: str) -> str:
        """The text with the folder and the ports of the test."""
        certificates = f"/etc/letsencrypt/live/{HOST}"
        for old, new in (
            ("127.0.0.1:8000", f"127.0.0.1:{self.web}"),
            ("127.0.0.1:9180", f"127.0.0.1:{self.health}"),
            ("listen 80;", f"listen 127.0.0.1:{self.http};"),
            ("listen 443 ssl;", f"listen 127.0.0.1:{self.https} ssl;"),
            (certificates, f"{self.folder}{certificates}"),
            ("/srv/calls", str(self.home)),
        ):
            text = text.replace(old, new)
        return text

    def environment(self, user: str = "calls") -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(NOT_INHERITED)}
        postgres = Path("/usr/lib/postgresql").glob("*/bin")
        programs = [Path(sys.executable).parent, *sorted(postgres), inherited["PATH"]]
        return {
            **inherited,
            "PATH": os.pathsep.join(map(str, programs)),
            "PYTHONPATH": str(tree.ROOT),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.postgresql.port),
            "PGUSER": user,
            "CURL_HOME": str(self.folder),
            "DJANGO_SUPERUSER_PASSWORD": "bosss-password",
        }

    def run(self, script: str, user: str = "calls") -> str:
        """Run this in the shell of the user `calls`, with the secrets. It must succeed."""
        secrets = "set -a; [ ! -f environment ] || . ./environment; set +a\n"
        done = subprocess.run(
            ["bash", "-e", "-c", secrets + script],
            cwd=self.home,
            env=self.environment(user),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout

    def follow(self, language: str, code: str, sentence: str) -> None:
        """Do what a block of the page says, after this sentence."""
        if file := FILE.search(sentence):
            path = (self.folder if file[2].startswith("/") else self.home) / file[2].lstrip("/")
            kept = path.read_text() if file[1].startswith("Add") else ""
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(kept + self.here(code))
            return
        assert language == "sh", code
        done = []
        for command in code.splitlines():
            if words(command) in SKIPPED:
                self.skipped.add(words(command))
                if words(command) == PIP:
                    self.run("\n".join(done))
                    done = []
                    self.install()
            elif command.startswith("runuser -u postgres -- "):
                self.run(command.removeprefix("runuser -u postgres -- "), user="postgres")
            elif "createsuperuser" in command:  # does not ask for the password
                done.append(f"{command} --no-input")
            else:
                done.append(self.here(command))
        self.output += self.run("\n".join(done))

    def install(self) -> None:
        """Let the new environment use the packages of this one."""
        [site_packages] = (self.home / "env" / "lib").glob("*/site-packages")
        (site_packages / "tests.pth").write_text(sysconfig.get_path("purelib"))
        for program in ("django-admin", "gunicorn"):
            found = shutil.which(program, path=self.environment()["PATH"])
            (self.home / "env" / "bin" / program).write_text(
                Path(found or "").read_text().replace(sys.executable, f"{self.home}/env/bin/python")
            )
            (self.home / "env" / "bin" / program).chmod(0o755)

    @contextlib.contextmanager
    def unit(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        """The process of a unit, started as systemd would start it."""
        unit = (self.folder / f"etc/systemd/system/{name}.service").read_text()
        [command] = re.findall(r"^ExecStart=(.+)$", unit, re.MULTILINE)
        [secrets] = re.findall(r"^EnvironmentFile=(.+)$", unit, re.MULTILINE)
        lines = Path(secrets).read_text().splitlines()
        log = (self.folder / f"{name}.log").open("w")
        process = subprocess.Popen(
            command.split(),
            cwd=self.home,
            env={**self.environment(), **dict(line.split("=", 1) for line in lines)},
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)
            log.close()

    def certify(self) -> None:
        """What certbot fetches, from ourselves."""
        folder = self.folder / "etc/letsencrypt/live" / HOST
        folder.mkdir(parents=True)
        command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={HOST}"
        files = f"-keyout {folder}/privkey.pem -out {folder}/fullchain.pem"
        subprocess.run(f"{command} {files}".split(), check=True, capture_output=True)
        (self.folder / ".curlrc").write_text(
            f'insecure\nconnect-to = "{HOST}:443:127.0.0.1:{self.https}"\n'
        )

    @contextlib.contextmanager
    def nginx(self) -> Iterator[None]:
        """nginx with the page's configuration."""
        config = self.folder / "nginx.conf"
        config.write_text(
            f"daemon off; pid {self.folder}/pid; error_log {self.folder}/error.log; user root;\n"
            f"events {{}} http {{ include /etc/nginx/mime.types; access_log off;\n"
            f"include {self.folder}/etc/nginx/conf.d/*.conf; }}\n"
        )
        process = subprocess.Popen(["nginx", "-c", str(config), "-p", str(self.folder)])
        try:
            wait_until_served(self.https, process)
            yield
        finally:
            process.terminate()
            process.wait(15)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[OwnPostgreSQL]:
    with tempfile.TemporaryDirectory() as folder:
        if OWNER is not None:
            os.chown(folder, pwd.getpwnam(OWNER).pw_uid, -1)
        server = OwnPostgreSQL(folder)
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="module")
def machine(
    postgresql: OwnPostgreSQL, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """The machine after the last step of the page, with its processes."""
    machine = Machine(tmp_path_factory.mktemp("machine"), postgresql)
    machine.home.mkdir(parents=True)
    machine.certify()
    blocks = list(BLOCK.finditer(SECTION))
    assert len(blocks) > 10
    with contextlib.ExitStack() as processes:
        last = 0
        for block in blocks:
            if "api/health" in block[2]:  # the check at the end: everything runs by then
                web = processes.enter_context(machine.unit("calls-web"))
                wait_until_served(machine.web, web)
                switch = processes.enter_context(machine.unit("calls-switch"))
                wait_until_served(machine.health, switch)
                processes.enter_context(machine.nginx())
                command = "env/bin/python manage.py poketalk_doctor"
                assert block[2].startswith(f"{command}\n")
                machine.follow("sh", block[2].replace(command, f"{command} || true"), "")
            else:
                machine.follow(block[1], block[2], SECTION[last : block.start()])
            last = block.end()
        yield machine


def test_nothing_else_is_left_out(machine: Machine) -> None:
    assert machine.skipped == SKIPPED


def test_the_deployment_has_no_issues(machine: Machine) -> None:
    assert "System check identified no issues" in machine.output


def test_only_an_account_is_missing(machine: Machine) -> None:
    report = json.loads(machine.run("env/bin/python manage.py poketalk_doctor --json || true"))
    wrong = {each["check"] for each in report["checks"] if each["level"] == "error"}

    assert wrong == {"sample_call", "gateways"} & wrong, report
    assert "sample_call" in wrong


def test_the_health_says_that_a_switch_runs(machine: Machine) -> None:
    health = json.loads(machine.output.splitlines()[-1])

    assert [switch["ready"] for switch in health["switches"]] == [True]
    assert health["problems"] == ["no_gateway"]


def test_secrets_are_for_the_user_alone(machine: Machine) -> None:
    assert (machine.home / "environment").stat().st_mode & 0o777 == 0o600
    assert machine.home.stat().st_mode & 0o777 == 0o711


def test_the_first_user_logs_in_over_https(machine: Machine) -> None:
    session = requests.Session()
    session.headers.update({"Host": HOST, "Referer": f"https://{HOST}/admin/login/"})
    address = f"https://127.0.0.1:{machine.https}/admin/login/"
    form = session.get(address, verify=False).text
    [token] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
    login = {"csrfmiddlewaretoken": token, "username": "boss", "password": "bosss-password"}

    done = session.post(address, login, allow_redirects=False, verify=False)

    assert (done.status_code, done.headers["Location"]) == (302, "/accounts/profile/")


def test_nginx_serves_the_static_files_and_redirects_to_https(machine: Machine) -> None:
    style = get(machine.https, "/static/poketalk_server/admin.css", Host=HOST)
    plain = get(machine.http, "/admin/?x=1", "http", Host=HOST)

    assert style.status_code == 200
    assert style.content == (machine.home / "static/poketalk_server/admin.css").read_bytes()
    assert plain.headers["Location"] == f"https://{HOST}/admin/?x=1"


@pytest.mark.needs("systemd")
def test_systemd_accepts_the_units(machine: Machine) -> None:
    units = sorted(map(str, (machine.folder / "etc/systemd/system").iterdir()))

    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", *units],
        capture_output=True,
        text=True,
    )

    assert len(units) == 2
    assert [line for line in done.stderr.splitlines() if "calls-" in line] == []


def test_a_customer_places_a_call(machine: Machine) -> None:
    (machine.home / "account.py").write_text(ACCOUNT)
    secret = machine.run("env/bin/python manage.py shell < account.py").split()[-1]
    service = f"https://127.0.0.1:{machine.https}"
    headers = {"Host": HOST, "X-Forwarded-For": "203.0.113.7"}
    form = {"api_key": secret, "from": CALLER, "to": CALLEE, "custom": "first"}

    def call() -> dict[str, Any]:
        key = {**headers, "Authorization": f"Api-Key {secret}"}
        answer = requests.get(f"{service}/api/calls/?custom=first", headers=key, verify=False)
        found: dict[str, Any] = answer.json()["results"][0]
        return found

    answer = requests.post(
        f"{service}/index.php/api/click2call", form, headers=headers, verify=False
    )

    assert (answer.status_code, answer.text) == (200, "00")
    wait_until(lambda: call()["state"] == "ended")
    assert call()["hangup_cause"] == "busy"


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
