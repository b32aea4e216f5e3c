"""A client for the tests of the API."""

from __future__ import annotations

from typing import Any

from django.test import Client

from ..people import logged_in

ROOT = "/poketalk/api"
CALLS = f"{ROOT}/calls/"
QUOTE = f"{CALLS}quote/"
BLACKLIST = f"{ROOT}/blacklist/"
OWN_NUMBER = f"{ROOT}/own-number/"
PROBLEM = "application/problem+json"


def client(user: Any) -> Client:
    """A client that is logged in as this user, and returns errors instead of raising them."""
    return logged_in(user, raise_request_exception=False)


def post(asking: Client, path: str, body: Any = None, key: str | None = None) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return asking.post(path, body, "application/json", headers=headers)


def problem(response: Any, status: int, code: str) -> Any:
    """The problem in the response, whose status must match that of the body."""
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == PROBLEM
    data = response.json()
    assert data["type"] == "about:blank"
    assert data["status"] == status
    assert data["title"]
    assert data["detail"]
    assert data["code"] == code, data
    return data


def wrong(response: Any) -> dict[str, str]:
    """The errors of the body: pointer → code."""
    data = problem(response, 400, "invalid")
    return {each["pointer"]: each["code"] for each in data["errors"]}
