"""Count the clicks, and measure the time, of what people do with calls all day.

    python -m pip install playwright
    python -m tests.browser.daily_tasks

Runs the demo, sped up, and does each task in Chromium as the user `demo`, from the page where
people begin. A click is also a key, a choice, or a field that is filled in. The seconds are those
of the pages and of the phones, without the time in which people read and think.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
PORT, SPEED = 8137, 10
EARLIER = 500  # calls
CALLS = "/admin/poketalk/callrequest/"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Person:
    """Does tasks in a page, and counts clicks."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = 0

    def click(self, target: Locator) -> None:
        self.clicks += 1
        target.click()

    def press(self, name: str) -> None:
        self.click(self.page.get_by_role("button", name=re.compile(name)).first)

    def follow(self, name: str) -> None:
        self.click(self.page.get_by_role("link", name=name).first)

    def write(self, label: str, text: str) -> None:
        self.clicks += 1
        self.page.get_by_label(label).first.fill(text)

    def type(self, key: str) -> None:
        self.clicks += 1
        self.page.keyboard.press(key)

    def phase(self, phase: str) -> None:
        call = self.page.locator("poketalk-call").first
        expect(call).to_have_attribute("phase", phase, timeout=30_000)


def begin_call(person: Person, name: str = "Stacy Stays", phase: str = "talking") -> None:
    """Place a call from the list of contacts, up to this phase."""
    person.page.goto(f"/?q={name}")
    person.clicks = 0
    person.click(person.page.locator("poketalk-call [type=submit]").first)
    person.phase(phase)


def hang_up(person: Person) -> None:
    person.press("Hang up")
    sentence = person.page.locator("poketalk-call [data-poketalk=sentence]").first
    expect(sentence).to_have_text(re.compile("^(Ended|Canceled)"), timeout=30_000)


def redial(person: Person) -> None:
    person.click(person.page.locator("poketalk-call [type=submit]").first)
    person.phase("talking")


def wrap_up(person: Person) -> None:
    panel = person.page.locator(".poketalk-wrap-up").first
    panel.wait_for()
    person.write("Note", "Wants an offer")
    person.write("Call back at", time.strftime("%Y-%m-%dT09:00", time.localtime(time.time() + 9e4)))
    person.press("Interested")
    expect(panel.get_by_role("status")).not_to_be_empty()


def who_talks(person: Person) -> None:
    person.follow("Live board")
    expect(person.page.get_by_text("Stacy Stays").first).to_be_visible()


def company_last_week(person: Person) -> None:
    person.write("Search", "Stacy")
    person.type("Enter")
    person.click(person.page.locator("summary", has_text="Day"))
    person.follow("Past 7 days")
    expect(person.page.get_by_text("Stacy Stays").first).to_be_visible()


def why_failed(person: Person) -> None:
    person.click(person.page.locator("summary", has_text="Outcome"))
    person.follow("Callee not reached")
    expect(person.page.locator(".field-why").first).not_to_be_empty()


def dearest(person: Person) -> None:
    person.click(person.page.locator("summary", has_text="Day"))
    person.follow("Past 30 days")
    for order in ("ascending", "descending"):
        person.click(person.page.locator("th.column-cost .text a").first)
        expect(person.page.locator(f"th.column-cost.{order}")).to_be_visible()


def spend_by_team(person: Person) -> None:
    person.follow("Reports")
    person.page.locator("select[name=by]").select_option("team")
    person.clicks += 1
    person.press("Show")
    expect(person.page.get_by_role("table").first).to_be_visible()


def block_and_undo(person: Person) -> None:
    person.press("Block the callee")
    person.press("Undo")
    expect(person.page.get_by_role("button", name="Block the callee")).to_be_visible()


def measure(person: Person, name: str, task: Callable[[Person], None]) -> None:
    person.clicks, start = 0, time.perf_counter()
    task(person)
    sys.stdout.write(f"{name:44}{person.clicks:8}{time.perf_counter() - start:9.1f}\n")


def main() -> None:
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with demo() as url, sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=browser_path, args=options)
        page = browser.new_page(base_url=url, locale="en")
        page.goto("/login/")
        page.get_by_label("User name").fill("demo")
        page.get_by_label("Password").fill("demo")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("searchbox")).to_be_visible()
        person = Person(page)
        sys.stdout.write(f"{'':44}{'clicks':>8}{'s':>9}\n")
        measure(person, "call, until both talk", begin_call)
        measure(person, "hang up while they talk", hang_up)
        measure(person, "note, call back and result", wrap_up)
        measure(person, "redial, until both talk", redial)
        hang_up(person)
        for phase, name in (("calling", "Stacy Stays"), ("ringing", "Sloane Slow")):
            begin_call(person, name, phase)
            measure(person, f"hang up: {phase}", hang_up)
        begin_call(person)
        page.goto(CALLS)
        measure(person, "who talks now", who_talks)
        page.goto("/?q=Stacy Stays")
        hang_up(person)
        begin_call(person, "Bea Busy", "failed")
        for task_name, task in (
            ("company X, last week", company_last_week),
            ("why did it fail", why_failed),
            ("dearest call of the month", dearest),
            ("spend by team", spend_by_team),
        ):
            page.goto(CALLS)
            measure(person, task_name, task)
        page.goto(CALLS)
        page.locator("#result_list .field-when a").first.click()
        measure(person, "block a number, and undo", block_and_undo)


@contextmanager
def demo() -> Iterator[str]:
    """Run the demo with its own data. Yields its URL when it is ready."""
    with tempfile.TemporaryDirectory(prefix="poketalk-tasks-") as var:
        manage = [sys.executable, "-u", str(ROOT / "example_project" / "manage.py")]
        environment = {**os.environ, "CRM_VAR": var, "DJANGO_DEBUG": "1"}
        process = subprocess.Popen(  # no input from users
            [*manage, "demo", f"--port={PORT}", f"--speed={SPEED}"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            for line in process.stdout or ():
                if "is ready" in line:
                    break
            else:
                sys.exit(f"The demo ended with exit code {process.wait()}.")
            seed = [*manage, "seed_calls", str(EARLIER), "--days=30"]
            subprocess.run(seed, env=environment, check=True, stdout=subprocess.DEVNULL)
            yield f"http://127.0.0.1:{PORT}"
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


if __name__ == "__main__":
    main()
