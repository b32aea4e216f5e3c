"""Makes `docs/images/call.png`: runs the demo, calls somebody who stays on, and takes a picture.

Wants what the demo wants, playwright, and a Chromium of the system:

    python -m pip install playwright
    python docs/screenshots.py
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parent.parent
IMAGE = ROOT / "docs" / "images" / "call.png"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PORT = 8099
SPEED = 4  # a call's seconds in a real one
CALLEE = "Stacy Stays"
SIZE = {"width": 720, "height": 900}
PATIENCE = 60_000  # milliseconds


def main() -> None:
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser_path is None:
        sys.exit(f"None of {', '.join(BROWSERS)} is installed.")
    with demo() as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox", "--no-proxy-server"]
        )
        page = browser.new_page(viewport=SIZE, color_scheme="light", locale="en-GB")
        page.set_default_timeout(PATIENCE)
        call(page, site)
        IMAGE.parent.mkdir(exist_ok=True)
        page.screenshot(path=IMAGE, clip=frame(page))
        page.get_by_role("button", name="Hang up").click()
        browser.close()


@contextmanager
def demo() -> Iterator[str]:
    """The demo with data of its own; its address, once it is ready."""
    with tempfile.TemporaryDirectory(prefix="ringdove-screenshots-") as var:
        process = subprocess.Popen(  # noqa: S603  # all its words are ours
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


def call(page: Page, site: str) -> None:
    """Log in, call, and wait until the connected call has been told to last a minute."""
    page.goto(site)
    page.get_by_label("User name").fill("demo")
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("searchbox").fill(CALLEE)
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=CALLEE).click()
    page.get_by_role("button", name="Call").click()
    page.get_by_role("link", name="Details").click()
    page.get_by_text("both are connected").wait_for()
    page.get_by_text("1:00").wait_for()


def frame(page: Page) -> dict[str, float]:
    """The page from its top to the end of its content."""
    height = page.evaluate("document.querySelector('main').getBoundingClientRect().bottom")
    return {"x": 0, "y": 0, "width": SIZE["width"], "height": min(height, SIZE["height"])}


if __name__ == "__main__":
    main()
