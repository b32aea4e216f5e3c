"""A simulated user of the site, who logs in and submits forms over HTTP."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import requests

TIMEOUT = 10.0  # seconds


class Visitor:
    """A session at the site. Methods raise `requests.HTTPError`, or `LookupError` if a page has no
    such form.
    """

    def __init__(self, site_url: str) -> None:
        self._site = site_url
        self.session = requests.Session()
        self.session.trust_env = False

    def log_in(self, name: str, password: str) -> None:
        answer = self.submit("/login/", "/login/", username=name, password=password)
        if "sessionid" not in self.session.cookies:
            raise LookupError(
                f"{name} could not log in: {answer.url} answered {answer.status_code}."
            )

    def press_call(self, page: str) -> int:
        """Press the call button on this page. Returns the primary key of the call."""
        answer = self.submit(page, "/poketalk/place/")
        match = re.fullmatch(r"/poketalk/([0-9]+)/", urlsplit(answer.url).path)
        if match is None:
            raise LookupError(
                f"The button led to {answer.url} ({answer.status_code}), not to a call."
            )
        return int(match[1])

    def submit(self, page: str, action: str, **fields: str) -> requests.Response:
        """Load a page, fill in its form with this action, and submit it."""
        url = urljoin(self._site, page)
        loaded = self.session.get(url, timeout=TIMEOUT)
        loaded.raise_for_status()
        forms = _Forms(loaded.text).forms
        for target, hidden in forms:
            if urljoin(url, target) == urljoin(self._site, action):
                answer = self.session.post(
                    urljoin(url, target),
                    data={**hidden, **fields},
                    headers={"Referer": url},
                    timeout=TIMEOUT,
                )
                answer.raise_for_status()
                return answer
        raise LookupError(f"{page} has no form that goes to {action}.")


class _Forms(HTMLParser):
    """The POST forms of a page: the action and the input values of each."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and given.get("method", "").lower() == "post":
            self.forms.append((given.get("action", ""), {}))
        elif tag == "input" and self.forms and "name" in given:
            self.forms[-1][1][given["name"]] = given.get("value", "")
