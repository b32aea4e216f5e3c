"""Whether the accounts could place a sample call now: the rules of admission, without a call. An
obstacle is named with the response code that a request would get.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from django_poketalk.protocol import numbers
from django_poketalk.shared.doctor.checking import Finding, Options, error, info, ok, warning

from .. import health
from ..billing import ledger, rating
from ..billing.price_lookup import rates_for
from ..conf import settings
from ..database.clock import database_now
from ..models import Account, ApiKey, BlacklistedNumber, Call, Gateway, Rate, ServiceProvider
from ..routing import routes

MOST = 50  # accounts that are examined
LEGS = ("caller", "callee")


def check_sample_call(options: Options) -> Iterator[Finding]:
    """What each active account would get in answer to a call between the sample's numbers."""
    accounts = Account.objects.filter(is_active=True).select_related("provider", "price_list")
    found = [*accounts.order_by("pk")[:MOST]]
    if not found:
        yield error("There is no active account.", "Add one in the admin, with an API key.")
        return
    sample = _sample(options)
    if isinstance(sample, Finding):
        yield sample
        return
    legs = " to ".join(map(numbers.mask, sample))
    for account in found:
        yield from _answer(account, sample, legs)


def _sample(options: Options) -> tuple[str, str] | Finding:
    """The numbers of the sample call, as digits, or why there are none."""
    if options.from_number:
        try:
            return _read(options.from_number), numbers.read_wire(options.to_number)
        except ValueError as failure:
            return error(f"The sample's numbers cannot be read: {failure}")
    latest = Call.objects.exclude(from_number="").exclude(to_number="").order_by("-id").first()
    if latest is None:
        return info(
            "There was no call yet whose rates could be looked up.",
            "Name a sample: poketalk_doctor --from NUMBER --to NUMBER.",
        )
    return latest.from_number, latest.to_number


def _read(text: str) -> str:
    return text if numbers.is_internal(text) else numbers.read_wire(text)


def _answer(account: Account, sample: tuple[str, str], legs: str) -> Iterator[Finding]:
    if not ApiKey.objects.usable().filter(account=account).exists():
        yield warning(f"{account} has no API key that can be used.", "Issue one in the admin.")
    if not account.addresses.exists():
        yield warning(
            f"{account} has no allowed address (response code 100).",
            "Add the addresses of its servers.",
        )
    provider = account.provider
    if provider is None or not provider.is_active:
        yield error(
            f"{account} has no active service provider (response code 50).",
            "Choose one on its page.",
        )
        return
    if BlacklistedNumber.matches(account, *sample):
        yield info(f"{account}: {legs} is on the blacklist (response code 60).")
        return
    rates = rates_for(account, ledger.today(), *sample)
    problems = [*_routing(provider, sample), *_pricing(account, rates)]
    if problems:
        yield from (error(f"{account}, {legs}: {text}", advice) for text, advice in problems)
    else:
        yield ok(f"{account}, {legs}: {_price(rates, account.currency)}.")


def _routing(provider: ServiceProvider, sample: tuple[str, str]) -> Iterator[tuple[str, str]]:
    gateways = [*Gateway.objects.filter(provider=provider, is_active=True)]
    found = [routes.gateways_for(number, gateways) for number in sample]
    missing = [leg for leg, able in zip(LEGS, found, strict=True) if not able]
    for leg in missing:
        yield (
            f"no gateway of {provider} reaches the {leg} (response code 70).",
            "Check the gateways' prefixes.",
        )
    if not missing and not routes.pairs(*found):
        yield (
            f"the gateways of {provider} for the two phones cannot be connected"
            " (response code 70).",
            "Use gateways of one kind for both.",
        )


def _pricing(account: Account, rates: list[Rate | None]) -> Iterator[tuple[str, str]]:
    prices = account.price_list
    if prices is None:
        yield "it has no price list (response code 90).", "Choose one on its page."
        return
    if prices.currency != account.currency:
        yield (
            f"{prices} is in {prices.currency}, not in {account.currency} (response code 90).",
            "Choose another price list.",
        )
        return
    for leg, rate in zip(LEGS, rates, strict=True):
        if rate is None:
            yield (
                f"{prices} has no rate for the {leg} (response code 90).",
                "Add one, or import a rate deck.",
            )
    rate_a, rate_b = rates
    if rate_a is None or rate_b is None:
        return
    left = account.spendable(ledger.day_of(database_now()))
    if not rating.maximum_duration(rate_a.tariff, rate_b.tariff, left, settings.max_duration):
        yield (
            f"{left} {account.currency} do not pay for the shortest call (response code 90).",
            "Top up the account, or raise its limit per day.",
        )


def _price(rates: list[Rate | None], currency: str) -> str:
    prices = [_plain(rate.price_per_minute) for rate in rates if rate]
    return f"accepted, at {' + '.join(prices)} {currency} a minute"


def _plain(amount: Decimal) -> str:
    return f"{amount.quantize(Decimal('0.0001')).normalize():f}"


def check_funds(options: Options) -> Iterator[Finding]:
    """The accounts whose funds do not cover ten calls like their latest ones."""
    low = health.accounts_with_low_funds(database_now())
    for account in low:
        yield warning(
            f"{account} has {account.funds} {account.currency} left. Its latest calls cost"
            f" {account.average_cost} {account.currency} on average.",
            "Top it up, or raise its credit limit.",
        )
    if not low:
        calls = health.ENOUGH_CALLS
        yield ok(f"All active accounts can pay for {calls} calls like their latest ones.")
