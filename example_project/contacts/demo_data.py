"""The demo's data: fictional contacts, two users, and a service with accounts, gateways and
rates.

All numbers are from ranges that regulators reserve for fiction: Ofcom's +44 20 7946 0000 to 0999,
+1 NXX 555 0100 to 0199, ARCEP's +33 1 99 00 xx xx and ACMA's +61 2 5550 xxxx. The last two
digits of a number say how its simulated phone behaves.
"""

from __future__ import annotations

from decimal import Decimal

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.utils import timezone

from django_poketalk.models import Phone
from django_poketalk.server.billing import ledger
from django_poketalk.server.models import (
    Account,
    AllowedAddress,
    ApiKey,
    BlacklistedNumber,
    Gateway,
    PresentedNumber,
    PriceList,
    Rate,
    ServiceProvider,
)

from .models import Contact

ACCOUNT = "Ringdove"
FUNDS = Decimal("100.000")
USERS = ("demo", "agent")  # each one's password is the name
KEY_LABELS = ("demo", "check", "check, by hand")
DEMO_NUMBER = "+442079460700"
AGENT_NUMBER = "+442079460800"
OFFICE = "+442079460900"  # what the people who are called see
LISTED = "+442079460066"  # on the service's blacklist
NO_GATEWAY = "+33199000042"  # there is a rate, but no gateway
NO_RATE = "+61255500142"  # there is a gateway, but no rate

# Each does what the name says: name, company, number, note.
CAST = (
    ("Bea Busy", "Always & On Ltd", "+442079460001", "Is busy at once"),
    ("Nora Noanswer", "Gone Fishing Co", "+442079460002", "Rings, and nobody answers"),
    ("Declan Decline", "Notnow & Sons", "+442079460003", "Rings for 2 s, then declines"),
    (
        "Gail Gatewaydown",
        "Cable Cutters",
        "+442079460004",
        "Cannot be reached: the gateway is down",
    ),
    ("Nemo Nobody", "Nowhere Inc", "+442079460005", "The number does not exist"),
    ("Hugo Hangup", "Short & Curt", "+442079460006", "Answers, and hangs up 2 s later"),
    ("Fay Five", "Stopwatch Studio", "+442079460010", "Answers, talks for 5 s"),
    ("Tia Ten", "Stopwatch Studio", "+442079460011", "Answers, talks for 10 s"),
    ("Twyla Twenty", "Stopwatch Studio", "+442079460012", "Answers, talks for 20 s"),
    ("Theo Thirty", "Stopwatch Studio", "+442079460013", "Answers, talks for 30 s"),
    ("Forbes Forty", "Stopwatch Studio", "+442079460014", "Answers, talks for 40 s"),
    ("Fifi Fifty", "Stopwatch Studio", "+442079460015", "Answers, talks for 50 s"),
    ("Sid Sixty", "Stopwatch Studio", "+442079460016", "Answers, talks for 60 s"),
    ("Sven Seventy", "Stopwatch Studio", "+442079460017", "Answers, talks for 70 s"),
    ("Edie Eighty", "Stopwatch Studio", "+442079460018", "Answers, talks for 80 s"),
    ("Nina Ninety", "Stopwatch Studio", "+442079460019", "Answers, talks for 90 s"),
    ("Quinn Quick", "Red Telephone Co", "+442079460020", "Answers at once, stays on"),
    ("Sloane Slow", "Red Tape Ltd", "+442079460021", "Answers after 15 s, stays on"),
    ("Stacy Stays", "Long Story LLP", "+442079460022", "Answers, stays on until you hang up"),
    ("Blanche Listed", "Do Not Disturb plc", LISTED, "Blacklisted by the service: code 60"),
    ("Gaston Sansroute", "Île Perdue SARL", NO_GATEWAY, "No gateway reaches this number: code 70"),
    ("Ruby Rateless", "Priceless Pty", NO_RATE, "No rate for this number: code 90"),
)
FIRST_NAMES = (
    "Ada", "Bruno", "Clara", "Dmitri", "Esther", "Felix", "Greta", "Hamid", "Ines", "Jonas",
    "Keiko", "Luis", "Mina", "Nils", "Olive", "Pavel", "Rosa", "Samir", "Tess", "Ugo",
)  # fmt: skip
LAST_NAMES = (
    "Lamplighter",
    "Quillfeather",
    "Brightwater",
    "Mossgrave",
    "Tanglewood",
    "Pepperday",
    "Ashwhistle",
)
COMPANIES = (
    "Paper Lantern Press",
    "Northwind Teas",
    "Acme Umbrellas",
    "Blue Door Bakery",
    "Copper Kettle Works",
)
AREA_CODES = ("212", "415")


@transaction.atomic
def load(key_label: str) -> str:
    """Create what is missing, and issue a new API key for the CRM. The key.

    It replaces the previous key with this label, since keys cannot be read back.
    """
    _contacts()
    _people()
    return issue_key(_service(), key_label)


def _contacts() -> None:
    for name, company, phone, note in (*CAST, *_extras()):
        Contact.objects.get_or_create(
            phone=phone, defaults={"name": name, "company": company, "note": note}
        )


def _extras() -> list[tuple[str, str, str, str]]:
    """Twenty more people; the last digit of their number says how long they talk."""
    people = []
    for index, first in enumerate(FIRST_NAMES):
        tens = index % 10
        people.append(
            (
                f"{first} {LAST_NAMES[index * 3 % len(LAST_NAMES)]}",
                COMPANIES[index * 7 % len(COMPANIES)],
                f"+1{AREA_CODES[index // 10]}55501{10 + tens}",
                f"Answers, talks for {10 * tens or 5} s",
            )
        )
    return people


def _people() -> None:
    """`demo` is a superuser; `agent` may place calls, by a group, and has no admin access."""
    sales, _ = Group.objects.get_or_create(name="Sales")
    for app, codename in (
        ("poketalk", "place_call"),
        ("poketalk", "dial_any_number"),
        ("contacts", "view_contact"),
    ):
        sales.permissions.add(
            Permission.objects.get(content_type__app_label=app, codename=codename)
        )
    demo = _user("demo", "Demo", DEMO_NUMBER, is_staff=True, is_superuser=True)
    agent = _user("agent", "Sales agent", AGENT_NUMBER)
    agent.groups.add(sales)
    demo.groups.add(sales)


def _user(name: str, first_name: str, phone: str, **flags: bool) -> User:
    """A user whose password is their name; an existing user stays as is."""
    user, created = User.objects.get_or_create(
        username=name, defaults={"first_name": first_name, **flags}
    )
    if created:
        user.set_password(name)
        user.save(update_fields=["password"])
        Phone.objects.create(user=user, number=phone, verified_at=timezone.now())
    return user


def _service() -> Account:
    provider, _ = ServiceProvider.objects.get_or_create(name="Loopback Telecom")
    Gateway.objects.get_or_create(
        provider=provider,
        name="Simulated phones",
        defaults={"kind": Gateway.Kind.SIMULATED, "prefixes": "1 44 61"},
    )
    prices, _ = PriceList.objects.get_or_create(name="Loopback Telecom")
    for prefix, destination, price, fee, initial, subsequent in (
        ("1", "United States", "0.030", "0", 60, 60),
        ("33", "France", "0.060", "0.010", 1, 1),
        ("44", "United Kingdom", "0.120", "0.010", 1, 1),
    ):
        Rate.objects.get_or_create(
            price_list=prices,
            prefix=prefix,
            defaults={
                "destination": destination,
                "price_per_minute": Decimal(price),
                "connect_fee": Decimal(fee),
                "initial_increment": initial,
                "subsequent_increment": subsequent,
            },
        )
    BlacklistedNumber.objects.get_or_create(
        account=None,
        number=LISTED.removeprefix("+"),
        defaults={"reason": "Does not want to be called."},
    )
    account = open_account(ACCOUNT, provider, prices, "127.0.0.1/32")
    PresentedNumber.objects.get_or_create(
        account=account,
        number=OFFICE.removeprefix("+"),
        defaults={"label": "Office", "verified_at": timezone.now(), "is_default": True},
    )
    if account.funds < FUNDS / 2:
        ledger.top_up(account, FUNDS, note="Demo money")
    return account


def issue_key(account: Account, label: str) -> str:
    """A new key of the account; it replaces earlier keys with this label."""
    ApiKey.objects.filter(account=account, label=label).delete()
    _, secret = ApiKey.issue(account, label)
    return secret


def open_account(
    name: str, provider: ServiceProvider | None, prices: PriceList | None, network: str
) -> Account:
    """The account with this name, created if missing, allowed to call from this network."""
    account, _ = Account.objects.get_or_create(
        name=name, defaults={"provider": provider, "price_list": prices}
    )
    AllowedAddress.objects.get_or_create(account=account, network=network)
    return account
