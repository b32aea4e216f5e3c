"""The statement of an account on paper."""

from __future__ import annotations

from playwright.sync_api import Browser, expect


def test_only_the_statement_is_printed(browser: Browser, demo_site: str) -> None:
    page = browser.new_page(base_url=demo_site)
    page.goto("/login/?next=/admin/poketalk_server/account/1/statement/")
    page.get_by_label("User name").fill("demo")
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Log in").click()
    around = page.locator(
        "#header, #nav-sidebar, .breadcrumbs, .poketalk-period, .poketalk-tools, .poketalk-internal"
    )
    statement = page.locator("h1, .poketalk-tiles, .poketalk-statement tbody tr").filter(
        visible=True
    )
    expect(page.get_by_text("Created by")).to_be_visible()
    count = statement.count()

    page.emulate_media(media="print")

    assert around.count() > 5
    assert around.filter(visible=True).count() == 0
    assert statement.count() == count
    page.close()
