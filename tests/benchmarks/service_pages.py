"""Measure the speed of the service's pages in the admin with many calls.

    export DATABASE_URL=postgres://postgres@127.0.0.1:5432/bench
    python example_project/manage.py migrate
    python -m tests.benchmarks.service_pages [--calls 1000000] [--rounds 7]

Runs in one process, without a web server, on PostgreSQL, as its superuser. The first run fills the
database with this number of calls of a year, each with two legs, five events and two charges, with
1,000 accounts and with 50,000 rates, of which 5,000 are past and 5,000 are future; later runs use
what is there. The floor is the page of an empty list. Compare the ratios between machines,
not the times.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from decimal import Decimal

from .admin_pages import User, as_in_production, header, table  # isort: split

from django.conf import settings as project
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from django_poketalk.server.billing import ledger
from django_poketalk.server.models import (
    Account,
    ApiKey,
    Call,
    Gateway,
    LedgerEntry,
    Leg,
    PriceList,
    Rate,
    ServiceProvider,
)

ADMIN = "/admin/poketalk_server/"
ACCOUNTS = 1000  # the first 20 make nine of ten calls
RATES = 50_000
GOAL = 10  # ms
NAME = "Benchmark of pages"
ROWS = """
INSERT INTO poketalk_server_call (custom, from_number, to_number, to_extension, presented_number,
    eventurl, remote_address, leg_a_billed, max_duration, held, state, status, duration, cost,
    hangup_cause, switch, fence, turn, account_id, provider_id, created_at, ended_at, charged_at)
SELECT 'page' || n, '4420794' || lpad((n %% 100000)::text, 5, '0'),
    '4916096' || lpad((n * 7 %% 100000)::text, 5, '0'), '', '', '', '127.0.0.1', 'ringing', 3600, 0,
    'ended', CASE WHEN n %% 3 = 0 THEN 6 ELSE 8 END, n %% 600, 0.02,
    CASE WHEN n %% 3 = 0 THEN 'no_answer' WHEN n %% 5000 = 0 THEN 'max_cost' ELSE 'normal' END,
    'office', 1, n, (%(accounts)s::bigint[])[
        CASE n %% 10 WHEN 0 THEN n / 10 %% 1000 ELSE n %% 20 END + 1],
    %(provider)s, moment, moment, moment
FROM (SELECT n, now() - interval '1 year' * (%(calls)s - n) / %(calls)s AS moment
    FROM generate_series(1, %(calls)s) AS n) AS each ORDER BY n;

INSERT INTO poketalk_server_leg (side, attempt, number, destination, price_per_minute, connect_fee,
    initial_increment, subsequent_increment, minimum_charge, initiated_at, answered_at, ended_at,
    hangup_cause, sip_status, q850, dialog, duration, cost, call_id, gateway_id)
SELECT side, 1, from_number, 'London', 0.01, 0, 60, 6, 0, created_at, created_at, ended_at,
    hangup_cause, 200, 16, '', duration, 0.01, id, %(gateway)s
FROM poketalk_server_call, (VALUES ('A'), ('B')) AS sides (side) WHERE custom LIKE 'page%%'
ORDER BY id;

INSERT INTO poketalk_server_eventdelivery
    (sequence, status, duration, cost, sent_at, seconds, answer, error, call_id)
SELECT sequence,
    CASE WHEN sequence < 5 THEN sequence * 2 - 1 ELSE status END,
    60, 0.01, created_at, 0.1, 200, '', id
FROM poketalk_server_call, generate_series(1, 5) AS sequence WHERE custom LIKE 'page%%'
ORDER BY id;

INSERT INTO poketalk_server_ledgerentry
    (kind, amount, balance, side, note, created_at, account_id, call_id)
SELECT 'charge', -0.01,
    1000000 - 0.01 * row_number() OVER (PARTITION BY account_id ORDER BY id, side),
    side, '', created_at, account_id, id
FROM poketalk_server_call, (VALUES ('A'), ('B')) AS sides (side) WHERE custom LIKE 'page%%'
ORDER BY id, side;

UPDATE poketalk_server_ledgerentry SET created_at = created_at - interval '1 year 1 day'
WHERE kind = 'top_up' AND account_id = ANY (%(accounts)s);

UPDATE poketalk_server_account AS account SET balance =
    (SELECT balance FROM poketalk_server_ledgerentry WHERE account_id = account.id
    ORDER BY id DESC LIMIT 1) WHERE id = ANY (%(accounts)s);

INSERT INTO poketalk_server_rate (price_list_id, is_internal, prefix, destination, price_per_minute,
    connect_fee, initial_increment, subsequent_increment, minimum_charge, valid_from)
SELECT %(price_list)s, false, '44' || 10000 + n %% 40000, 'Place ' || n %% 500, 0.01, 0, 60, 6, 0,
    CASE n / 5000 WHEN 8 THEN current_date - 9 WHEN 9 THEN current_date + 9 ELSE '2000-01-01' END
FROM generate_series(0, %(rates)s - 1) AS n;

INSERT INTO poketalk_server_buyrate (gateway_id, is_internal, prefix, destination, price_per_minute,
    connect_fee, initial_increment, subsequent_increment, minimum_charge, valid_from)
SELECT %(gateway)s, is_internal, prefix, destination, price_per_minute, connect_fee,
    initial_increment, subsequent_increment, minimum_charge, valid_from
FROM poketalk_server_rate WHERE price_list_id = %(price_list)s ORDER BY id;

UPDATE poketalk_server_account SET spent_on = current_date, spent = 1
WHERE id = ANY (%(accounts)s);
"""


def fill(calls: int) -> None:
    """Make the rows, unless they are there."""
    if ServiceProvider.objects.filter(name=NAME).exists():
        return
    with transaction.atomic():
        _insert(calls)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")  # as autovacuum soon does


def _insert(calls: int) -> None:
    provider = ServiceProvider.objects.create(name=NAME)
    gateway = Gateway.objects.create(provider=provider, name="Phones", kind="simulated")
    prices = PriceList.objects.create(name=NAME)
    accounts = [
        Account.objects.create(name=f"{NAME} {n}", provider=provider, price_list=prices)
        for n in range(ACCOUNTS)
    ]
    for account in accounts:
        ledger.top_up(account, Decimal(10**6))
        ApiKey.issue(account)
    values = {
        "accounts": [account.pk for account in accounts],
        "calls": calls,
        "gateway": gateway.pk,
        "price_list": prices.pk,
        "provider": provider.pk,
        "rates": RATES,
    }
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # without checks of keys
        for statement in filter(str.strip, ROWS.split(";")):
            cursor.execute(statement, values)


def pages() -> dict[str, str]:
    """The measured pages: names and URLs."""
    newest = Call.objects.latest("id")
    middle = Call.objects.get(custom=f"page{int(newest.custom.removeprefix('page')) // 2}")
    today = timezone.localdate()
    year = f"first={today.replace(year=today.year - 1)}&last={today}"
    calls, rates, buy_rates = f"{ADMIN}call/", f"{ADMIN}rate/", f"{ADMIN}buyrate/"
    account = f"{ADMIN}account/{Account.objects.get(name=f'{NAME} 1').pk}/"
    entry = LedgerEntry.objects.filter(call=middle).latest("id")
    prices = PriceList.objects.get(name=NAME)
    gateway = Gateway.objects.get(provider__name=NAME)
    rate = Rate.objects.filter(price_list=prices).latest("id")
    return {
        "empty list": f"{ADMIN}presentednumber/",
        "calls": calls,
        "calls, page 400": f"{calls}?p=400",
        "calls, in progress": f"{calls}?live=now",
        "calls, today": f"{calls}?day=today",
        "calls, yesterday": f"{calls}?day=yesterday",
        "calls, past 30 days": f"{calls}?day=30",
        "calls, not answered": f"{calls}?cause=no_answer",
        "calls, a rare cause": f"{calls}?cause=max_cost",
        "calls, a cause of none": f"{calls}?cause=gateway_down",
        "calls, search by id": f"{calls}?q={middle.custom}",
        "calls, search by number": f"{calls}?q=%2B{middle.to_number}",
        "board": f"{calls}board/",
        "call": f"{calls}{middle.pk}/change/",
        "legs": f"{ADMIN}leg/",
        "legs, today": f"{ADMIN}leg/?day=today",
        "legs, a rare cause": f"{ADMIN}leg/?cause=busy",
        "legs, search by number": f"{ADMIN}leg/?q=%2B{middle.from_number}",
        "leg": f"{ADMIN}leg/{Leg.objects.filter(call=middle).latest('id').pk}/change/",
        "events": f"{ADMIN}eventdelivery/",
        "events, no response": f"{ADMIN}eventdelivery/?response=failed",
        "events, refused": f"{ADMIN}eventdelivery/?response=refused",
        "events, a rare status": f"{ADMIN}eventdelivery/?status__exact=2",
        "ledger": f"{ADMIN}ledgerentry/",
        "ledger, top-ups": f"{ADMIN}ledgerentry/?kind__exact=top_up",
        "ledger, search by account": f"{ADMIN}ledgerentry/?q=777",
        "ledger of an account": f"{ADMIN}ledgerentry/?account__id__exact={newest.account_id}",
        "ledger entry": f"{ADMIN}ledgerentry/{entry.pk}/change/",
        "reversal": f"{ADMIN}ledgerentry/{entry.pk}/reverse/",
        "accounts": f"{ADMIN}account/",
        "accounts, search": f"{ADMIN}account/?q=777",
        "account": f"{account}change/",
        "account, delete": f"{account}delete/",
        "top-up": f"{account}top-up/",
        "call records": f"{account}call-records/",
        "statement, a month": f"{account}statement/",
        "statement, a year": f"{account}statement/?{year}",
        "keys": f"{ADMIN}apikey/",
        "key": f"{ADMIN}apikey/{ApiKey.objects.latest('id').pk}/change/",
        "providers": f"{ADMIN}serviceprovider/",
        "provider": f"{ADMIN}serviceprovider/{gateway.provider_id}/change/",
        "gateways": f"{ADMIN}gateway/",
        "gateway": f"{ADMIN}gateway/{gateway.pk}/change/",
        "price lists": f"{ADMIN}pricelist/",
        "price list": f"{ADMIN}pricelist/{prices.pk}/change/",
        "rates": rates,
        "rates, page 200": f"{rates}?p=200",
        "rates, current": f"{rates}?validity=current",
        "rates, future": f"{rates}?validity=future",
        "rates, past": f"{rates}?validity=past",
        "rates, search by prefix": f"{rates}?q={rate.prefix}",
        "rates, search by name": f"{rates}?q=place+77",
        "rate": f"{rates}{rate.pk}/change/",
        "deck": f"{rates}import/",
        "buy rates": buy_rates,
        "buy rates, past": f"{buy_rates}?validity=past",
        "buy rates, deck": f"{buy_rates}import/",
        "health": f"{ADMIN}switch/",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    fill(options.calls)
    print(header(options.rounds))
    print(f"{Call.objects.count():,} calls, {Rate.objects.count():,} rates\n")
    client = Client(headers={"host": project.ALLOWED_HOSTS[0]})
    boss, _made = User.objects.get_or_create(
        username="benchmark", defaults={"is_staff": True, "is_superuser": True}
    )
    client.force_login(boss)
    times, in_sql = table(client, pages(), options.rounds)
    calls = statistics.median(times["calls"]) / statistics.median(times["empty list"])
    print(f"\nlist of calls / empty list   {calls:.1f}")
    slow = {name: took for name, each in in_sql.items() if (took := min(each)) > GOAL}
    print(f"pages with more than {GOAL} ms of SQL in each round   {len(slow)}   (goal: 0)")
    for name, took in slow.items():
        print(f"  {name}: {took:.1f} ms")
    year = statistics.median(times["statement, a year"])
    print(f"statement of a year   {year:.0f} ms   (goal: 300 or less)")


if __name__ == "__main__":
    with as_in_production():
        sys.exit(main())
