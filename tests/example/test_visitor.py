"""The simulated user of the demo's check."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from demo.visitor import Visitor


def test_a_missing_form_is_reported_with_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(self: Any, url: str, **options: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response._content = 200, b"<p>No form here</p>"
        return response

    monkeypatch.setattr(requests.Session, "get", get)

    with pytest.raises(LookupError, match="/contacts/7/ has no form that goes to /place/"):
        Visitor("http://127.0.0.1:8000").submit("/contacts/7/", "/place/")
