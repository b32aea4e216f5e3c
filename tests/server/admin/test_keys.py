"""API keys in the admin: shown once, rotated without a gap, revoked for good."""

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
    answer = client.post(page(ApiKey, "add"), form)
    assert answer.status_code == 200
    return answer.content.decode()


def secrets_in(html: str) -> list[str]:
    return re.findall(r"<code[^>]*>([^<]+)</code>", html)


def test_a_key_is_in_one_answer_and_in_nothing_that_is_kept(
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


def test_the_answer_with_the_key_is_not_cached(customer: Customer) -> None:
    form = {"account": customer.account.pk, "label": ""}

    answer = staff(*ISSUER).post(page(ApiKey, "add"), form)

    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("button", ["_addanother", "_continue", "_popup"])
def test_whichever_button_is_pressed_the_key_is_shown(customer: Customer, button: str) -> None:
    [secret] = secrets_in(issue(staff(*ISSUER), customer.account, **{button: "1"}))

    assert ApiKey.find(secret) is not None


def test_a_form_that_is_sent_twice_makes_one_key(customer: Customer) -> None:
    client = staff(*ISSUER)
    newest = client.get(page(ApiKey, "add")).context["adminform"].form.initial["newest"]
    first = issue(client, customer.account, newest=newest)

    again = issue(client, customer.account, newest=newest)

    assert len(secrets_in(first)) == 1
    assert secrets_in(again) == []
    assert "was issued after this form was opened" in again
    assert customer.account.keys.count() == 2
    other = make_customer("Other")  # another account's form is not in the way
    assert len(secrets_in(issue(client, other.account, newest=other.key.pk))) == 1


def test_a_key_is_rotated_without_a_gap(customer: Customer) -> None:
    client = staff(*ISSUER)
    ApiKey.objects.update(label="CRM")
    shown = client.get(page(ApiKey, "change", customer.key.pk)).content.decode()
    [link] = re.findall(r'href="([^"]+)">Rotate', shown)
    initial = client.get(link.replace("&amp;", "&")).context["adminform"].form.initial
    assert (initial["account"], initial["label"]) == (str(customer.account.pk), "CRM")

    answer = issue(client, customer.account, label=initial["label"], newest=initial["newest"])

    [secret] = secrets_in(answer)
    assert "still work" in answer
    assert page(ApiKey, "change", customer.key.pk) in answer
    assert ApiKey.find(secret) != ApiKey.find(customer.secret)
    assert customer.ask() == "00"

    chosen = {"action": "revoke", "_selected_action": [customer.key.pk]}
    client.post(page(ApiKey, "changelist"), chosen)
    assert customer.ask() == "40"
    customer.secret = secret
    assert customer.ask() == "00"
    assert history(customer.key) == ["Changed revoked_at."]


def test_a_key_that_is_to_be_revoked_later_can_be_revoked_now(customer: Customer) -> None:
    ApiKey.objects.update(revoked_at=timezone.now() + timedelta(days=1))

    staff(*ISSUER).post(
        page(ApiKey, "changelist"), {"action": "revoke", "_selected_action": [customer.key.pk]}
    )

    assert ApiKey.find(customer.secret) is None


def test_issuing_needs_its_permission(customer: Customer) -> None:
    client = staff("view_account", "view_apikey", "change_apikey")

    assert client.post(page(ApiKey, "add"), {"account": customer.account.pk}).status_code == 403
    shown = client.get(page(Account, "change", customer.account.pk)).content.decode()
    assert "Issue a key" not in shown
    assert "Rotate" not in client.get(page(ApiKey, "change", customer.key.pk)).content.decode()
    assert ApiKey.objects.count() == 1


def test_an_accounts_page_names_the_keys_that_work(customer: Customer) -> None:
    ApiKey.issue(customer.account, "<script>alert(1)</script>")
    gone, _secret = ApiKey.issue(customer.account, "gone")
    ApiKey.objects.filter(pk=gone.pk).update(revoked_at=timezone.now())

    html = staff(*ISSUER).get(page(Account, "change", customer.account.pk)).content.decode()

    assert customer.key.prefix in html
    assert gone.prefix not in html
    assert "<script>alert" not in html
