"""One person's number: exported and erased, on both halves, in any spelling."""

from __future__ import annotations

import json
import logging
import stat
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command

from django_poketalk.calls import personal_data
from django_poketalk.models import (
    BlacklistedNumber,
    CallEvent,
    CallMetadata,
    CallRequest,
    Phone,
)
from django_poketalk.protocol import numbers
from django_poketalk.server import personal_data as server_personal_data
from django_poketalk.server.models import (
    BlacklistedNumber as ServerBlacklistedNumber,
)
from django_poketalk.server.models import Call, LedgerEntry, Leg, TestCall
from django_poketalk.shared.personal_data import StillCalling, batches

from . import stored_numbers
from .stored_numbers import CALLEE, CALLER, ODD_TEXT, PRESENTED, TEXT, places

pytestmark = pytest.mark.django_db

SPELLINGS = ["+442079460123", "0044 (0)20 7946-0123", "020 7946 0123", "tel:+44-20-7946-0123"]


@pytest.fixture
def stored(customer: Any, poketalk: Callable[..., None]) -> Call:
    """The number in every place of both halves."""
    poketalk(DEFAULT_REGION="GB")
    stored_numbers.old_request()
    stored_numbers.expired_entry()
    stored_numbers.own_phone()
    stored_numbers.labels(customer)
    return stored_numbers.old_call(customer)


def run(*args: str, **options: Any) -> str:
    output = StringIO()
    call_command("poketalk_person", *args, stdout=output, stderr=output, **options)
    return output.getvalue()


@pytest.mark.parametrize("number", SPELLINGS)
def test_erasing_leaves_no_copy_on_either_half(stored: Call, number: str) -> None:
    before = list(LedgerEntry.objects.values_list("amount", "balance"))
    assert len(places(CALLEE)) > 15

    output = run(number, "--erase", "--no-input")

    assert places(CALLEE) == set()
    assert (
        "poketalk: erased calls: 1, notes: 1, call backs: 1, phones: 1, verification codes: 1"
        in output
    )
    assert "poketalk_server: erased calls: 1, test calls: 1" in output
    assert list(LedgerEntry.objects.values_list("amount", "balance")) == before


def test_erasing_keeps_the_numbers_of_others(stored: Call) -> None:
    run(CALLEE, "--erase", "--no-input")

    call = CallRequest.objects.get()
    assert (call.from_number, call.to_number, call.to_extension) == (CALLER, "", "")
    assert call.presented_number == PRESENTED
    stored.refresh_from_db()
    assert (stored.from_number, stored.to_number) == (CALLER[1:], "")
    assert [leg.number for leg in stored.legs.order_by("side")] == [CALLER[1:], ""]


@pytest.mark.parametrize("number", [CALLER, PRESENTED])
def test_callers_and_presented_numbers_are_erased_too(stored: Call, number: str) -> None:
    Call.objects.update(custom=f"order 17 for {number}")
    assert {place.partition(".")[0] for place in places(number)} >= {
        "poketalk_callrequest",
        "poketalk_server_call",
    }

    run(number, "--erase", "--no-input")

    assert places(number) == set()
    assert CallRequest.objects.get().to_number == CALLEE
    assert Call.objects.get().to_number == CALLEE[1:]


def test_erasing_keeps_the_metadata_of_other_calls(stored: Call) -> None:
    """Only forgetting masks all numbers, and what looks like one."""
    others = {"deal": "20261234567", "ask": CALLER}
    stored_numbers.old_request(to_number=PRESENTED)
    CallMetadata.objects.filter(call__to_number=PRESENTED).update(data=others)

    run(CALLEE, "--erase", "--no-input")

    assert CallMetadata.objects.get(call__to_number=PRESENTED).data == others
    assert places(CALLEE) == set()


def test_texts_are_masked_however_the_number_is_written(stored: Call) -> None:
    CallRequest.objects.update(to_number="", veto_reason=ODD_TEXT)
    CallEvent.objects.update(reason=ODD_TEXT)
    Call.objects.update(to_number="", eventurl="", custom=ODD_TEXT)
    Leg.objects.all().delete()
    LedgerEntry.objects.update(note=ODD_TEXT)
    LogEntry.objects.update(change_message=ODD_TEXT)

    run(CALLEE, "--erase", "--no-input")

    assert places(CALLEE) == set()
    assert CallEvent.objects.get().reason.split(", ")[0] == "0••••••23"


@pytest.mark.parametrize("module", [personal_data, server_personal_data])
def test_calls_that_begin_meanwhile_keep_their_numbers(
    module: Any, stored: Call, customer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin_calls(rows: Any) -> Any:
        stored_numbers.old_request(placement="queued")
        stored_numbers.old_call(customer, state=Call.State.ACTIVE)
        return batches(rows)

    monkeypatch.setattr(module, "batches", begin_calls)

    done = module.erase(CALLEE)

    assert done.erased["calls"] == done.kept["calls in progress"] == 1
    assert CallRequest.objects.latest("pk").to_number == CALLEE
    assert Call.objects.latest("pk").to_number == CALLEE[1:]


def test_a_test_call_in_progress_is_kept_and_reported(stored: Call) -> None:
    TestCall.objects.update(state=TestCall.State.ACTIVE)

    output = run(CALLEE, "--erase", "--no-input")

    assert places(CALLEE) == {"poketalk_server_testcall.number"}
    assert "poketalk_server: kept test calls in progress: 1" in output


def test_erasing_is_recorded_without_the_number(
    stored: Call, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "django_poketalk")

    run(CALLEE, "--erase", "--no-input", "--user", "anna")

    assert len([text for text in caplog.messages if "Erased one person" in text]) == 2
    entries = LogEntry.objects.filter(change_message__startswith="Erased one person's number: c")
    assert [entry.user.get_username() for entry in entries] == ["anna", "anna"]
    assert places(CALLEE) == set()


def test_entries_in_force_are_kept_and_reported(poketalk: Callable[..., None]) -> None:
    BlacklistedNumber.objects.create(number=CALLEE, reason=TEXT)
    ServerBlacklistedNumber.objects.create(number=CALLEE, reason=TEXT)

    output = run(CALLEE, "--erase", "--no-input")

    assert places(CALLEE) == {
        "poketalk_blacklistednumber.number",
        "poketalk_server_blacklistednumber.number",
    }
    assert "poketalk: kept blacklist entries in force: 1" in output
    assert "poketalk_server: kept blacklist entries: 1" in output


def test_running_calls_are_refused_on_each_half(customer: Any) -> None:
    stored_numbers.old_request(placement="queued")
    stored_numbers.old_call(customer, state=Call.State.ENDING)
    before = places(CALLEE)

    with pytest.raises(CommandError, match="when the calls have ended"):
        run(CALLEE, "--erase", "--no-input")
    with pytest.raises(StillCalling):
        personal_data.erase(CALLEE)
    with pytest.raises(StillCalling):
        server_personal_data.erase(CALLEE)

    assert places(CALLEE) == before


def test_erasing_asks_first(stored: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    before = places(CALLEE)
    monkeypatch.setattr("builtins.input", lambda prompt: "y")

    with pytest.raises(CommandError, match="Nothing was erased"):
        run(CALLEE, "--erase")
    assert places(CALLEE) == before

    monkeypatch.setattr("builtins.input", lambda prompt: "yes")
    run(CALLEE, "--erase")
    assert places(CALLEE) == set()


def test_an_extension_narrows_it_to_the_calls_to_it(stored: Call) -> None:
    run(f"{CALLEE} ext. 99", "--erase", "--no-input")
    assert CallRequest.objects.get().to_number == CALLEE
    assert Phone.objects.exists()

    run(f"{CALLEE} ext. 1234567", "--erase", "--no-input")

    assert CallRequest.objects.get().to_number == ""
    assert Call.objects.get().to_number == ""
    assert Phone.objects.exists()


def test_internal_numbers_are_of_the_callers_side(
    customer: Any, poketalk: Callable[..., None]
) -> None:
    poketalk(INTERNAL_NUMBERS="[0-9]{3}")
    call = stored_numbers.old_request(from_number="201")
    served = stored_numbers.old_call(customer, from_number="201")

    output = run("201", "--erase", "--no-input")

    call.refresh_from_db()
    served.refresh_from_db()
    assert (call.from_number, call.to_number, served.from_number) == ("", CALLEE, "201")
    assert "poketalk_server" not in output


@pytest.mark.parametrize("number", SPELLINGS)
def test_the_export_has_every_row_and_no_number_of_others(
    stored: Call, number: str, tmp_path: Path
) -> None:
    file = tmp_path / "person.json"

    run(number, "--export", str(file))

    text = file.read_text()
    document = json.loads(text)
    assert document["number"] == numbers.display(CALLEE)
    assert {name: len(table["rows"]) for name, table in document["tables"].items()} == {
        "poketalk.callrequest": 1,
        "poketalk.callevent": 1,
        "poketalk.callmetadata": 1,
        "poketalk.wrapup": 1,
        "poketalk.callback": 1,
        "poketalk.phone": 1,
        "poketalk.verificationcode": 1,
        "poketalk.blacklistednumber": 1,
        "poketalk_server.call": 1,
        "poketalk_server.leg": 2,
        "poketalk_server.eventdelivery": 1,
        "poketalk_server.ledgerentry": 0,
        "poketalk_server.testcall": 1,
        "poketalk_server.presentednumber": 0,
        "poketalk_server.blacklistednumber": 0,
    }
    calls = document["tables"]["poketalk.callrequest"]
    assert calls["rows"][0]["to_number"] == CALLEE
    assert calls["rows"][0]["from_number"] == numbers.mask(CALLER)
    assert calls["fields"]["status"]["choices"]["7"] == "connected"
    assert calls["fields"].keys() == calls["rows"][0].keys()
    assert CALLER[3:] not in text
    assert PRESENTED[3:] not in text
    assert "sip:" not in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_export_overwrites_no_file(tmp_path: Path) -> None:
    file = tmp_path / "person.json"
    file.write_text("before")

    with pytest.raises(CommandError, match="exists"):
        run(CALLEE, "--export", str(file))

    assert file.read_text() == "before"


def test_exporting_prints_to_standard_output() -> None:
    document = json.loads(run(CALLEE, "--export", "-"))

    assert document["tables"]["poketalk.callrequest"]["rows"] == []


@pytest.mark.parametrize("args", [("12",), ("+44 20", "--export", "-"), ("x", "--erase")])
def test_what_is_no_number_is_an_error(args: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        run(*args)


def test_an_unknown_user_is_an_error() -> None:
    with pytest.raises(CommandError, match="nobody"):
        run(CALLEE, "--erase", "--no-input", "--user", "nobody")
