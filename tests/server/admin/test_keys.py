"""API keys in the admin are displayed once, rotated without interruption, and revoked."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from django_poketalk.server.models import Account, ApiKey

from ..conftest import Customer, make_customer
from ..staff import history, page, staff

ISSUER = ("view_account", "add_apikey", "change_apikey", "view_apikey")


def issue(client: Client, account: Account, **fields: object) -> str:
    form = {"account": account.pk, "label": "CRM", **fields}
    response = client.post(page(ApiKey, "add"), form)
    assert response.status_code == 200
    return response.content.decode()


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

    chosen = {"action": "revoke", "_selected_action": [customer.key.pk]}
    client.post(page(ApiKey, "changelist"), chosen)
    assert customer.request_call() == "40"
    customer.secret = secret
    assert customer.request_call() == "00"
    assert history(customer.key) == ["Changed revoked_at."]


def test_revokes_a_key_that_was_scheduled_for_later(customer: Customer) -> None:
    ApiKey.objects.update(revoked_at=timezone.now() + timedelta(days=1))

    staff(*ISSUER).post(
        page(ApiKey, "changelist"), {"action": "revoke", "_selected_action": [customer.key.pk]}
    )

    assert ApiKey.find(customer.secret) is None


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
