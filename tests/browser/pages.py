"""Every page of the example, for the tests that visit all of them. Add a line for each new page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a page.

    `click` is the CSS selector of a link to follow from `path`, for pages whose path varies.
    `visitor` is the user who is logged in; empty: nobody.
    """

    path: str
    click: str = ""
    visitor: str = "demo"

    def __str__(self) -> str:
        return " ".join(filter(None, (self.visitor, self.path, self.click)))


FIRST = "#result_list tbody tr:first-child :is(th, td) > a"
CALLS = "/admin/poketalk/callrequest/"
SERVICE = "/admin/poketalk_server"

PAGES = [
    Address("/login/", visitor=""),
    Address("/"),
    Address("/?q=nobody+by+this+name"),
    Address("/contacts/1/"),
    Address("/contacts/1/", visitor="agent"),
    Address("/contacts/1/", click=".poketalk-history a"),
    Address("/poketalk/dial/"),
    Address("/poketalk/my-calls/"),
    Address("/poketalk/my-calls/?show=due"),
    Address("/poketalk/my-phones/"),
    Address("/poketalk/my-phones/", click=".poketalk-own-phones a"),
    Address("/admin/"),
    Address("/admin/contacts/contact/"),
    Address("/admin/contacts/contact/", click=FIRST),
    Address(CALLS),
    Address(CALLS, click=FIRST),
    Address(f"{CALLS}board/"),
    Address(f"{CALLS}place/"),
    Address(f"{CALLS}reports/"),
    Address(f"{CALLS}reports/?by=country"),
    Address(f"{CALLS}reports/?by=disposition"),
    Address(f"{CALLS}reports/?first=2026-03-02&last=2026-03-01"),
    Address("/admin/poketalk/blacklistednumber/"),
    Address("/admin/poketalk/blacklistednumber/add-in-bulk/"),
    Address("/admin/poketalk/blacklistednumber/add/"),
    Address("/admin/poketalk/callback/"),
    Address("/admin/poketalk/phone/"),
    Address("/admin/poketalk/phone/", click=FIRST),
    Address("/admin/poketalk/heartbeat/"),
    Address("/admin/poketalk/heartbeat/", click="button[name=check]"),
    Address(f"{SERVICE}/call/"),
    Address(f"{SERVICE}/call/board/"),
    Address(f"{SERVICE}/call/", click=FIRST),
    Address(f"{SERVICE}/account/"),
    Address(f"{SERVICE}/account/", click=FIRST),
    Address(f"{SERVICE}/account/1/top-up/"),
    Address(f"{SERVICE}/account/1/statement/"),
    Address(f"{SERVICE}/apikey/add/?account=1&label=CRM"),
    Address(f"{SERVICE}/switch/"),
    Address(f"{SERVICE}/switch/", click="button[name=check]"),
    Address(f"{SERVICE}/leg/"),
    Address(f"{SERVICE}/leg/", click=FIRST),
    Address(f"{SERVICE}/gateway/"),
    Address(f"{SERVICE}/gateway/", click=FIRST),
    Address(f"{SERVICE}/testcall/"),
    Address(f"{SERVICE}/testcall/add/"),
    Address(f"{SERVICE}/rate/"),
    Address(f"{SERVICE}/rate/import/"),
    Address(f"{SERVICE}/buyrate/"),
    Address(f"{SERVICE}/serviceprovider/"),
    Address(f"{SERVICE}/serviceprovider/", click=FIRST),
    Address(f"{SERVICE}/blacklistednumber/"),
    Address(f"{SERVICE}/presentednumber/"),
    Address(f"{SERVICE}/presentednumber/", click=FIRST),
    Address(f"{SERVICE}/presentednumber/add/?account=1"),
    Address(f"{SERVICE}/ledgerentry/"),
    Address(f"{SERVICE}/ledgerentry/", click=FIRST),
    Address(f"{SERVICE}/eventdelivery/"),
    Address(f"{SERVICE}/gatewaystate/"),
    Address(f"{SERVICE}/pricelist/"),
    Address(f"{SERVICE}/apikey/"),
    Address(f"{SERVICE}/allowedaddress/"),
]
