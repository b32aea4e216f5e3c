"""Takes the screenshots in `docs/images/`, each light and dark. Runs the demo, makes some calls,
and opens its pages during a call. To add a page, add a line to `SHOTS`.

Requires the demo's packages, playwright, and the system's Chromium:

    python -m pip install playwright
    python docs/screenshots.py
    python docs/screenshots.py admin-calls admin-call    # some of them
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PORT = 8099
SPEED = 4  # seconds of a call per real second
PATIENCE = 60_000  # milliseconds
HEIGHT = 900
TOO_BIG = 150_000  # bytes

FIRST = "#result_list tbody tr:first-child :is(th, td) > a"
STAYS = "/contacts/19/"  # Stacy Stays, who stays connected until the caller hangs up
LISTED = "/contacts/20/"  # Blanche Listed, who is on the service's blacklist
EARLIER = (
    1,
    2,
    6,
    7,
    8,
    20,
)  # contacts to call first, to fill the lists

DECK = """prefix,destination,price_per_minute,connect_fee,initial_increment,subsequent_increment
44,United Kingdom,0.15,0.05,60,6
447,United Kingdom mobile,1.95,0.05,60,6
49,Germany,0.09,0,1,1
"""


@dataclass(frozen=True, slots=True)
class Shot:
    """A page: the name of its picture, its path, the CSS selector of a link to follow from there,
    the width of the window, the element at which the picture ends, and a rate deck to preview.
    """

    name: str
    path: str
    click: str = ""
    width: int = 720
    until: str = "main"
    deck: str = ""


# Taken during a call to Stacy Stays
SHOTS = (
    Shot("contact", STAYS),
    Shot("call", STAYS, click=".poketalk-history a"),
    Shot("my-phones", "/poketalk/my-phones/"),
    Shot("admin-contacts", "/admin/contacts/contact/?q=Stopwatch", width=1000),
    Shot("admin-contact", "/admin/contacts/contact/19/change/", width=1000),
    Shot("admin-calls", "/admin/poketalk/callrequest/", width=1200),
    Shot("admin-call", "/admin/poketalk/callrequest/", click=FIRST, width=1100),
    Shot("admin-place", "/admin/poketalk/callrequest/place/", width=1000),
    Shot("admin-reports", "/admin/poketalk/callrequest/reports/?by=outcome", width=1000),
    Shot("admin-blacklist", "/admin/poketalk/blacklistednumber/", width=1000),
    Shot("service-calls", "/admin/poketalk_server/call/", width=1440),
    Shot("service-health", "/admin/poketalk_server/switch/", width=1000),
    Shot("service-account", "/admin/poketalk_server/account/", click=FIRST, width=1000),
    Shot("service-statement", "/admin/poketalk_server/account/1/statement/", width=1440),
    Shot(
        "service-deck",
        "/admin/poketalk_server/rate/import/",
        width=1100,
        until="form[action*=process]",
        deck=DECK,
    ),
)
# Only the button, from the press to the end of the call
PHASES = ("button", "button-calling", "button-talking", "button-ended", "button-refused")


def main(wanted: Collection[str]) -> None:
    known = [shot.name for shot in SHOTS] + list(PHASES)
    if unknown := set(wanted) - set(known):
        sys.exit(
            f"Unknown pictures: {', '.join(sorted(unknown))}. Choose from: {', '.join(known)}."
        )
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser_path is None:
        sys.exit(f"None of {', '.join(BROWSERS)} is installed.")
    with demo() as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox", "--no-proxy-server"]
        )
        IMAGES.mkdir(exist_ok=True)
        for scheme in ("light", "dark"):
            camera = Camera(browser, site, scheme, wanted or known)
            if scheme == "light":
                for contact in EARLIER:
                    camera.call(f"/contacts/{contact}/")
            camera.take_all()
        browser.close()


class Camera:
    """A browser in one color scheme, logged in as the user `demo`."""

    def __init__(self, browser: Browser, site: str, scheme: str, wanted: Collection[str]) -> None:
        self._page = browser.new_page(base_url=site, color_scheme=scheme, locale="en-GB")
        self._page.set_default_timeout(PATIENCE)
        self._suffix = "" if scheme == "light" else f"-{scheme}"
        self._wanted = wanted
        self._page.goto("/")
        self._page.get_by_label("User name").fill("demo")
        self._page.get_by_label("Password").fill("demo")
        self._page.get_by_role("button", name="Log in").click()
        self._page.get_by_role("searchbox").wait_for()

    def call(self, contact: str) -> None:
        """Call a contact, and wait for the end of the call."""
        self._page.goto(contact)
        self._page.locator("poketalk-call [type=submit]").click()
        self._page.locator("poketalk-call:is([phase=ended], [phase=failed])").wait_for()

    def take_all(self) -> None:
        page = self._page
        page.set_viewport_size({"width": 720, "height": HEIGHT})
        page.goto(STAYS)
        self._take_button("button")
        page.locator("poketalk-call [type=submit]").click()
        page.get_by_role("link", name="Details").first.wait_for()
        self._take_button("button-calling")
        page.locator("poketalk-call[phase=talking]").wait_for()
        page.wait_for_timeout(60_000 / SPEED + 1_000)  # until the event after one minute
        self._take_button("button-talking")
        for shot in SHOTS:
            self._take(shot)
        page.set_viewport_size({"width": 720, "height": HEIGHT})
        page.goto(STAYS)
        page.get_by_role("button", name="Hang up: ").click()
        page.locator("poketalk-call[phase=ended]").wait_for()
        self._take_button("button-ended")
        self.call(LISTED)
        self._take_button("button-refused")

    def _take(self, shot: Shot) -> None:
        if shot.name not in self._wanted:
            return
        page = self._page
        page.set_viewport_size({"width": shot.width, "height": HEIGHT})
        page.goto(shot.path)
        if shot.click:
            page.locator(shot.click).first.click()
            page.wait_for_load_state()
        if shot.deck:
            file = {"name": "rates.csv", "mimeType": "text/csv", "buffer": shot.deck.encode()}
            page.locator("[name=owner]").select_option(index=1)
            page.locator("[type=file]").set_input_files(file)  # type: ignore[arg-type]
            page.get_by_role("button", name="Preview").click()
            page.locator(shot.until).wait_for()
        bottom = page.locator(shot.until).first.evaluate("e => e.getBoundingClientRect().bottom")
        height = min(bottom, HEIGHT)
        self._save(shot.name, {"x": 0, "y": 0, "width": shot.width, "height": height})

    def _take_button(self, name: str) -> None:
        card = self._page.locator(".card").first.bounding_box()
        if name in self._wanted and card:
            self._save(name, {**card})

    def _save(self, name: str, clip: dict[str, float]) -> None:
        file = IMAGES / f"{name}{self._suffix}.png"
        self._page.screenshot(path=file, clip=clip, animations="disabled")
        size = file.stat().st_size
        note = f", more than {TOO_BIG}" if size > TOO_BIG else ""
        sys.stdout.write(f"{file.relative_to(ROOT)}: {size} bytes{note}\n")


@contextmanager
def demo() -> Iterator[str]:
    """Run the demo with its own data. Yields its URL when it is ready."""
    with tempfile.TemporaryDirectory(prefix="ringdove-screenshots-") as var:
        process = subprocess.Popen(  # noqa: S603  # no input from users
            [
                *(sys.executable, "-u", str(ROOT / "example_project" / "manage.py"), "demo"),
                *(f"--port={PORT}", f"--speed={SPEED}"),
            ],
            env={**os.environ, "CRM_VAR": var},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            for line in process.stdout or ():
                if "is ready" in line:
                    break
            else:
                sys.exit(f"The demo ended with exit code {process.wait()}.")
            yield f"http://127.0.0.1:{PORT}"
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


if __name__ == "__main__":
    main(sys.argv[1:])
