"""API keys in the admin are displayed once, rotated without interruption, and revoked."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from django_poketalk.server import admission
from django_poketalk.server.models import Account, ApiKey

from ..conftest import Customer, make_customer
from ..staff import history, page, staff

ISSUER = ("view_account", "add_apikey", "change_apikey", "view_apikey")


def issue(client: Client, account: Account, **fields: object) -> str:
    form = {"account": account.pk, "label": "CRM", **fields}
    response = client.post(page(ApiKey, "add"), form)
    assert response.status_code == 200
    return response.content.decode()


def revoke(client: Client, key: ApiKey) -> None:
    chosen = {"action": "revoke", "_selected_action": [key.pk], "confirmed": "yes"}
    client.post(page(ApiKey, "changelist"), chosen)


def secrets_in(html: str) -> list[str]:
    return re.findall(r"<code[^>]*>([^<]+)</code>", html)


def test_a_key_is_displayed_once_and_not_stored(
    customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    client = staff(*ISSUER)

    with caplog.at_level("DEBUG"):
        [secret] = secrets_in(issue(client, customer.account))

    key = ApiKey.find(secret)
    assert key is not None
    assert key.label == "CRM"
    assert history(key) == ["Added."]
    assert secret not in caplog.text
    kept = [*client.session.items(), *(cookie.value for cookie in client.cookies.values())]
    assert secret not in str(kept)
    for path in (
        page(ApiKey, "changelist"),
        page(ApiKey, "change", key.pk),
        page(ApiKey, "history", key.pk),
        page(Account, "change", customer.account.pk),
        "/admin/",
    ):
        assert secret not in client.get(path).content.decode()


def test_the_response_with_the_key_is_not_cached(customer: Customer) -> None:
    form = {"account": customer.account.pk, "label": ""}

    response = staff(*ISSUER).post(page(ApiKey, "add"), form)

    assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.parametrize("button", ["_addanother", "_continue", "_popup"])
def test_every_button_of_the_form_displays_the_key(customer: Customer, button: str) -> None:
    [secret] = secrets_in(issue(staff(*ISSUER), customer.account, **{button: "1"}))

    assert ApiKey.find(secret) is not None


def test_a_repeated_form_issues_one_key(customer: Customer) -> None:
    client = staff(*ISSUER)
    newest = client.get(page(ApiKey, "add")).context["adminform"].form.initial["newest"]
    first = issue(client, customer.account, newest=newest)

    again = issue(client, customer.account, newest=newest)

    assert len(secrets_in(first)) == 1
    assert secrets_in(again) == []
    assert "was issued after this form was opened" in again
    assert customer.account.keys.count() == 2
    other = make_customer("Other")  # another account is not affected
    assert len(secrets_in(issue(client, other.account, newest=other.key.pk))) == 1


def test_rotates_a_key_without_interruption(customer: Customer) -> None:
    client = staff(*ISSUER)
    ApiKey.objects.update(label="CRM")
    html = client.get(page(ApiKey, "change", customer.key.pk)).content.decode()
    [link] = re.findall(r'href="([^"]+)">Rotate', html)
    initial = client.get(link.replace("&amp;", "&")).context["adminform"].form.initial
    assert (initial["account"], initial["label"]) == (str(customer.account.pk), "CRM")

    html = issue(client, customer.account, label=initial["label"], newest=initial["newest"])

    [secret] = secrets_in(html)
    assert "still work" in html
    assert page(ApiKey, "change", customer.key.pk) in html
    assert ApiKey.find(secret) != ApiKey.find(customer.secret)
    assert customer.request_call() == "00"

    revoke(client, customer.key)
    assert customer.request_call() == "40"
    customer.secret = secret
    assert customer.request_call() == "00"
    assert history(customer.key) == ["Changed revoked_at."]


def test_revoking_asks_and_is_final(customer: Customer) -> None:
    client = staff(*ISSUER)
    chosen = {"action": "revoke", "_selected_action": [customer.key.pk]}
    customer.request_call()

    asked = client.post(page(ApiKey, "changelist"), chosen).content.decode()

    assert "Revoke this key?" in asked
    assert "from 127.0.0.1" in asked
    assert ApiKey.find(customer.secret) is not None

    revoke(client, customer.key)

    customer.key.refresh_from_db()
    revoked_at = customer.key.revoked_at
    form = {"label": "again", "revoked_at_0": "", "revoked_at_1": "", "expires_at_0": ""}
    client.post(page(ApiKey, "change", customer.key.pk), form)
    answer = client.post(page(ApiKey, "changelist"), chosen, follow=True).content.decode()
    customer.key.refresh_from_db()
    assert "already been revoked" in answer
    assert (customer.key.revoked_at, customer.key.label) == (revoked_at, "")
    assert ApiKey.find(customer.secret) is None
    assert history(customer.key).count("Changed revoked_at.") == 1


def test_the_form_of_a_key_does_not_undo_its_revocation(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is revoked while the form is being saved."""
    save = ApiKey.save

    def save_late(key: ApiKey, **options: Any) -> None:
        ApiKey.objects.filter(pk=key.pk).revoke()
        save(key, **options)

    monkeypatch.setattr(ApiKey, "save", save_late)
    form = {"label": "new", "expires_at_0": "", "expires_at_1": ""}

    staff(*ISSUER).post(page(ApiKey, "change", customer.key.pk), form)

    customer.key.refresh_from_db()
    assert customer.key.label == "new"
    assert customer.key.revoked_at is not None


def test_a_key_expires(customer: Customer) -> None:
    client = staff(*ISSUER)
    expiry = {"expires_at_0": "2999-01-01", "expires_at_1": "00:00"}
    [secret] = secrets_in(issue(client, customer.account, **expiry))
    key = ApiKey.find(secret)
    assert key is not None
    assert key.expires_at is not None

    past = {"expires_at_0": "2020-01-01", "expires_at_1": "00:00"}
    assert secrets_in(issue(client, customer.account, **past)) == []
    form = {"label": "CRM", **past}
    client.post(page(ApiKey, "change", key.pk), form)

    assert ApiKey.find(secret) is None


def test_the_last_use_is_stored_at_most_once_a_minute(
    customer: Customer, django_assert_num_queries: Any
) -> None:
    def last_use() -> tuple[datetime | None, str | None]:
        customer.key.refresh_from_db()
        return customer.key.last_used_at, customer.key.last_used_from

    def identify(address: str, queries: int) -> None:
        with django_assert_num_queries(queries):
            admission.identify(customer.secret, address)

    assert last_use() == (None, None)
    identify("203.0.113.7", 2)  # not an allowed address
    assert last_use() == (None, None)
    identify("127.0.0.1", 3)
    first = last_use()
    assert first[0] is not None
    assert first[1] == "127.0.0.1"
    identify("127.0.0.1", 2)
    assert last_use() == first

    ApiKey.objects.update(last_used_at=first[0] - timedelta(minutes=2), last_used_from=None)
    identify("127.0.0.1", 3)
    assert last_use()[1] == "127.0.0.1"
    listed = staff(*ISSUER).get(page(ApiKey, "changelist")).content.decode()
    assert "127.0.0.1" in listed


def test_issuing_a_key_requires_the_permission(customer: Customer) -> None:
    client = staff("view_account", "view_apikey", "change_apikey")

    assert client.post(page(ApiKey, "add"), {"account": customer.account.pk}).status_code == 403
    html = client.get(page(Account, "change", customer.account.pk)).content.decode()
    assert "Issue a key" not in html
    assert "Rotate" not in client.get(page(ApiKey, "change", customer.key.pk)).content.decode()
    assert ApiKey.objects.count() == 1


def test_an_accounts_page_lists_its_valid_keys(customer: Customer) -> None:
    ApiKey.issue(customer.account, "<script>alert(1)</script>")
    gone, _secret = ApiKey.issue(customer.account, "gone")
    ApiKey.objects.filter(pk=gone.pk).update(revoked_at=timezone.now())

    html = staff(*ISSUER).get(page(Account, "change", customer.account.pk)).content.decode()

    assert customer.key.prefix in html
    assert gone.prefix not in html
    assert "<script>alert" not in html
