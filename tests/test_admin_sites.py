"""The pages of both halves work in any admin site, even in one without some of the models. Their
links stay in that site.
"""

from __future__ import annotations

import re

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from django_poketalk import models as caller
from tests.admin_pages import make_rows, pages
from tests.crm import more_sites

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.crm.more_sites")]


@pytest.fixture
def boss(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr("django_poketalk.calls.task_publisher.wake", lambda pk, delay=0: None)
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("boss"))
    return client


@pytest.fixture
def rows(boss: Client) -> None:
    make_rows()


def links(html: str) -> set[str]:
    return set(re.findall(r'(?:href|action|data-[a-z-]*url)="(/[^"]*)"', html))


@pytest.mark.usefixtures("rows")
def test_every_page_works_in_another_site_and_links_only_to_it(boss: Client) -> None:
    visited = []
    for page in pages(more_sites.staff):
        response = boss.get(f"/staff/{page}")

        assert response.status_code in (200, 302, 403, 404, 405), page
        if response.status_code == 200 and "html" in response["Content-Type"]:
            visited.append(page)
            html = response.content.decode()
            assert not [each for each in links(html) if each.startswith("/admin/")], page
        elif response.status_code == 302:
            assert not response["Location"].startswith("/admin/"), page
    assert len(visited) > 50


@pytest.mark.usefixtures("rows")
def test_a_site_with_half_of_the_models_has_no_broken_pages(boss: Client) -> None:
    visited = 0
    for page in pages(more_sites.half):
        response = boss.get(f"/half/{page}")

        assert response.status_code in (200, 302, 403, 404, 405), page
        visited += response.status_code == 200
    assert visited > 15


@pytest.mark.usefixtures("rows")
def test_actions_in_another_site_redirect_to_it(boss: Client) -> None:
    call = caller.CallRequest.objects.get()
    base = f"/staff/poketalk/callrequest/{call.pk}"

    for deed, body in (("block", {"leg": "from"}), ("hang-up", {})):
        response = boss.post(f"{base}/{deed}/", body)

        assert (response.status_code, response["Location"]) == (302, f"{base}/change/")
    assert "/staff/poketalk/blacklistednumber/" in boss.get(f"{base}/change/").content.decode()
