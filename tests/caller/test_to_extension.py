"""Extensions behind the number to call, from the text to the service."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import phonenumbers
import pytest
from django.urls import reverse
from django.utils import timezone

from django_poketalk.admin import search
from django_poketalk.backends import locmem
from django_poketalk.backends.base import Order
from django_poketalk.backends.click2call import Click2CallBackend
from django_poketalk.button import number_linker, signed_call
from django_poketalk.calls import placing, redialing, retention
from django_poketalk.calls.requesting import request_call
from django_poketalk.calls.service_extensions import undialed
from django_poketalk.exceptions import CallRefused, IdempotencyConflict
from django_poketalk.models import BlacklistedNumber, CallRequest
from django_poketalk.presentation import call_status, sent_request
from django_poketalk.protocol import numbers
from tests.crm.models import Contact

from .people import CALLER, agent, someone, staff

pytestmark = pytest.mark.django_db

CALLEE = "+442079460999"
SENTENCE = "The service does not dial extension 12. Dial it yourself when the call is answered."
WITH = "+44 20 7946 0999 ext. 12"


@pytest.fixture
def poketalk(settings: Any) -> Any:
    def set_(**changes: Any) -> None:
        settings.POKETALK = {**settings.POKETALK, **changes}

    set_(DEFAULT_REGION="GB")
    return set_


@pytest.fixture
def anna(poketalk: Any) -> Any:
    return agent()


def call_to(number: Any, **order: Any) -> CallRequest:
    return request_call(from_number=CALLER, to_number=number, **order)


@pytest.mark.parametrize(
    "written",
    [
        "020 7946 0999 ext. 12",
        "+44 20 7946 0999 x12",
        "020 7946 0999 # 12",
        "tel:+442079460999;ext=12",
        "020 7946 0999,,12",
        "020 7946 0999 Durchwahl 12",
        phonenumbers.parse("+442079460999 x12"),
    ],
)
def test_it_is_kept_apart_from_the_number(written: Any, poketalk: Any) -> None:
    call = call_to(written)
    assert (call.to_number, call.to_extension) == (CALLEE, "12")


def test_it_may_be_given_separately(poketalk: Any) -> None:
    assert call_to(CALLEE, to_extension="012").to_extension == "012"
    assert call_to(WITH, to_extension="12").to_extension == "12"


@pytest.mark.parametrize(
    ("number", "extension"), [(WITH, "13"), (CALLEE, "1a"), (CALLEE, "1" * 12), (CALLEE, "w1")]
)
def test_a_second_or_unreadable_extension_is_refused(
    number: str, extension: str, poketalk: Any
) -> None:
    with pytest.raises(CallRefused) as refused:
        call_to(number, to_extension=extension)
    assert (refused.value.code, refused.value.field) == ("extension_invalid", "to_extension")


def test_the_callers_own_phone_has_none(poketalk: Any) -> None:
    with pytest.raises(CallRefused) as refused:
        request_call(from_number="020 7946 0123 x12", to_number=CALLEE)
    assert (refused.value.code, refused.value.field) == ("number_invalid", "from_number")


def test_limits_and_the_blacklist_apply_to_the_number_alone(poketalk: Any) -> None:
    entry = BlacklistedNumber(number="+44 20 7946 0999 ext. 7")
    entry.clean()
    entry.save()
    assert entry.number == CALLEE
    with pytest.raises(CallRefused) as refused:
        call_to(WITH)
    assert refused.value.code == "blacklisted"


def test_what_is_displayed_reads_back_to_itself() -> None:
    shown = numbers.display(CALLEE, "012")
    assert shown == "+44 20 7946 0999 ext. 012"
    assert numbers.read(shown) == numbers.Reading(CALLEE, "012")
    assert numbers.mask(CALLEE, "012") == "+44 ••••••••99 ext. •••"
    assert (numbers.display("", "12"), numbers.mask("", "12")) == ("", "")


def test_the_same_key_with_another_extension_is_a_conflict(poketalk: Any) -> None:
    first = call_to(WITH, idempotency_key="k")
    assert call_to(WITH, idempotency_key="k") == first
    for other in (CALLEE, "+44 20 7946 0999 ext. 13"):
        with pytest.raises(IdempotencyConflict, match="to_extension"):
            call_to(other, idempotency_key="k")


def test_calling_again_keeps_it(anna: Any) -> None:
    call = call_to(WITH, user=anna)
    call.cancel(timezone.now())
    again = redialing.call_again(call, anna)
    assert again != call
    assert (again.to_number, again.to_extension) == (CALLEE, "12")


def test_it_is_erased_with_the_numbers(poketalk: Any) -> None:
    poketalk(FORGET_NUMBERS_AFTER=30)
    call = call_to(WITH)
    call.cancel(timezone.now())
    CallRequest.objects.update(created_at=timezone.now() - timedelta(days=31))
    assert retention.forget_old_numbers() == 1
    call.refresh_from_db()
    assert (call.to_number, call.to_extension) == ("", "")


def test_names_mask_it(poketalk: Any) -> None:
    call = call_to(WITH)
    assert str(call).endswith("+44 ••••••••99 ext. ••")
    assert "12" not in repr(call).partition(":")[2]


# The service


def test_the_backend_gets_it_with_the_order(poketalk: Any) -> None:
    poketalk(BACKEND="django_poketalk.backends.locmem.LocmemBackend")
    locmem.reset()
    placing.place(call_to(WITH).pk)
    [order] = locmem.outbox
    assert (order.to_number, order.to_extension) == ("442079460999", "12")


@pytest.mark.parametrize(("known", "sent"), [((), None), (("to_extension",), "12")])
def test_only_a_service_that_knows_the_field_gets_it(
    known: tuple[str, ...], sent: str | None, poketalk: Any
) -> None:
    poketalk(SERVICE_EXTENSIONS=known, URL="https://calls.example.com/")
    fields = Click2CallBackend().describe(Order("1", "2", "id", to_extension="12")).fields
    assert fields.get("x_to_extension") == sent
    assert "x_to_extension" not in Click2CallBackend().describe(Order("1", "2", "id")).fields


def test_the_sent_request_masks_it(poketalk: Any) -> None:
    poketalk(
        BACKEND="django_poketalk.backends.click2call.Click2CallBackend",
        SERVICE_EXTENSIONS=("to_extension",),
        URL="https://calls.example.com/",
    )
    call = call_to(WITH)
    for whole, text in ((True, "12"), (False, "••")):
        sent = sent_request.request_of(call, whole)
        assert sent is not None
        assert sent.fields["x_to_extension"] == text


def test_a_plain_service_is_named_before_a_phone_rings(poketalk: Any) -> None:
    assert undialed(CallRequest(to_extension="12")) == SENTENCE
    assert undialed(CallRequest()) == ""
    poketalk(SERVICE_EXTENSIONS=("to_extension",))
    assert undialed(CallRequest(to_extension="12")) == ""


# Pages


def button(user: Any, rf: Any, contact: Contact) -> str:
    from django.template import Context, Template

    request = rf.get("/")
    request.user = user
    text = '{% load poketalk %}{% call_button contact field="phone" %}'
    return Template(text).render(Context({"request": request, "contact": contact}))


def test_the_button_tells_its_user_in_its_title_and_beside_it(
    anna: Any, rf: Any, poketalk: Any
) -> None:
    contact = Contact.objects.create(name="Bob", phone="020 7946 0999 ext. 12")
    html = button(anna, rf, contact)
    assert f'title="{SENTENCE}"' in html
    assert f'<span class="poketalk-hint" aria-hidden="true">{SENTENCE}</span>' in html
    poketalk(SERVICE_EXTENSIONS=("to_extension",))
    assert "poketalk-hint" not in button(anna, rf, contact)
    assert "poketalk-hint" not in button(anna, rf, Contact(pk=contact.pk, phone=CALLEE))


def test_the_button_calls_the_extension_and_shows_only_its_own_call(anna: Any, rf: Any) -> None:
    contact = Contact.objects.create(name="Bob", phone="020 7946 0999 ext. 12")
    order = signed_call.Button(nonce="n", source=signed_call.Reference.to(contact), field="phone")
    call = order.place(anna)
    assert (call.to_number, call.to_extension) == (CALLEE, "12")
    assert ' live="' in button(anna, rf, contact)
    contact.phone = "020 7946 0999"
    assert ' live="' not in button(anna, rf, contact)


def marked(text: str) -> str:
    return number_linker.mark(text, lambda digits, written: f"[{digits}|{written}]")


@pytest.mark.parametrize(
    "written",
    [
        "020 7946 0999 ext. 12",
        "020 7946 0999&nbsp;ext.&nbsp;12",
        "020 7946 0999 (ext. 12)",
        "020 7946 0999 DW-12",
        "020 7946 0999 poste n° 12",
        "020 7946 0999转12",
        "020 7946 0999 x12",
        "020 7946 0999, extension 12",
        "020 7946 0999 Durchwahl: 12",
        "020 7946 0999;ext=12",
        "020 7946 0999#12",
        "020 7946 0999,,12",
    ],
)
def test_a_number_and_its_extension_in_a_text_are_one(written: str) -> None:
    assert marked(f"Call {written}, or write.") == f"Call [02079460999x12|{written}], or write."


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("020 7946 0999, 12 people", "[02079460999|020 7946 0999], [12|12] people"),
        ("020 7946 0999 x", "[02079460999|020 7946 0999] x"),
        ("020 7946 0999 xylophone", "[02079460999|020 7946 0999] xylophone"),
        ("020 7946 0999 ext. 12a", "020 7946 0999 ext. 12a"),
    ],
)
def test_other_text_behind_a_number_is_no_extension(text: str, result: str) -> None:
    assert marked(text) == result.replace("[12|12]", "12")


def test_only_a_text_with_the_same_extension_becomes_a_button(anna: Any, rf: Any) -> None:
    from django.template import Context, Template

    request = rf.get("/")
    request.user = anna
    contact = Contact.objects.create(name="Bob", phone="020 7946 0999 ext. 12")
    text = (
        '{% load poketalk %}{% call_buttons contact fields="phone" %}<p>020 7946 0999</p>'
        "<p>020 7946 0999 ext. 13</p><p>020 7946 0999 ext. 12</p>{% endcall_buttons %}"
    )
    html = Template(text).render(Context({"request": request, "contact": contact}))
    assert "<p>020 7946 0999</p>" in html
    assert "<p>020 7946 0999 ext. 13</p>" in html
    assert 'aria-label="Call 020 7946 0999 ext. 12' in html
    assert html.count('type="submit"') == 1


def test_the_calls_page_shows_and_tells_it_and_calls_it_again(anna: Any, client: Any) -> None:
    client.force_login(anna)
    call = call_to(WITH, user=anna)
    page = reverse("poketalk:call", args=[call.pk])
    html = client.get(page).content.decode()
    assert WITH in html
    assert SENTENCE in html
    call.cancel(timezone.now())
    html = client.get(page).content.decode()
    assert "Call again" in html
    assert html.count(SENTENCE) == 2  # of the button that calls again


def test_sentences_name_the_callee_with_it(poketalk: Any) -> None:
    assert call_status.callee(call_to(WITH)) == WITH


# Staff


def test_lists_and_files_contain_it_masked_unless_it_may_be_seen(
    poketalk: Any, client: Any
) -> None:
    call = call_to(WITH)
    boss = staff("boss", is_superuser=True)
    reader = staff("reader", "view_callrequest")
    for page in ("/admin/poketalk/callrequest/", f"/admin/poketalk/callrequest/{call.pk}/change/"):
        whole = boss.get(page).content.decode().replace("\xa0", " ")
        masked = reader.get(page).content.decode().replace("\xa0", " ")
        assert WITH in whole
        assert "ext. ••" in masked
        assert "ext. 12" not in masked


def test_a_search_with_it_finds_the_number(poketalk: Any) -> None:
    call = call_to(WITH)
    boss = someone("boss", is_superuser=True)
    reader = someone("reader", "view_callrequest")
    for text in ("020 7946 0999 ext. 12", "+442079460999x12", "020 7946 0999"):
        assert list(CallRequest.objects.filter(search.condition(text, boss))) == [call]
        assert not CallRequest.objects.filter(search.condition(text, reader)).exists()


def test_the_place_form_keeps_it_and_its_check_tells_it(poketalk: Any) -> None:
    boss = staff("boss", is_superuser=True)
    url = reverse("admin:poketalk_callrequest_place")
    form = {"from_number": CALLER, "to_number": "020 7946 0999 ext. 12"}
    html = boss.post(url, {**form, "_check": ""}).content.decode()
    assert SENTENCE in html
    assert WITH in html
    order = boss.get(url).context["order"]
    boss.post(url, {**form, "order": order, "_call": ""})
    assert CallRequest.objects.get().to_extension == "12"


# The API


def test_the_api_reads_and_writes_it(anna: Any, client: Any) -> None:
    client.force_login(anna)
    calls = reverse("poketalk-api:call-list")

    def post(url: str, **body: Any) -> Any:
        return client.post(url, body, content_type="application/json")

    quoted = post(f"{calls}quote/", to_number="020 7946 0999 ext. 12").json()
    assert (quoted["to_number"], quoted["to_extension"]) == (CALLEE, "12")
    assert quoted["notices"] == [SENTENCE]
    placed = post(calls, to_number=CALLEE, to_extension="12")
    assert placed.status_code == 201, placed.content
    assert placed.json()["to_extension"] == "12"
    refused = post(calls, to_number="020 7946 0999 ext. 13", to_extension="12")
    assert refused.status_code == 422
    found = client.get(calls, {"number": "020 7946 0999 ext. 99"}).json()
    assert len(found["results"]) == 1


def test_calling_again_in_the_admin_says_what_is_not_dialed(anna: Any, poketalk: Any) -> None:
    boss = staff("boss", is_superuser=True)
    unsent, sent = call_to(WITH), call_to(WITH)
    unsent.cancel(timezone.now())
    CallRequest.objects.filter(pk=sent.pk).update(placement="accepted")
    path = "/admin/poketalk/callrequest/"
    order = {"action": "call_again", "_selected_action": [unsent.pk, sent.pk]}

    to_confirm = boss.post(path, order).content.decode()
    said = boss.get(path).content.decode()

    assert SENTENCE in to_confirm  # before it rings
    assert to_confirm.count(SENTENCE) == 2  # of the call that is being called again, too
    poketalk(SERVICE_EXTENSIONS=["to_extension"])
    assert SENTENCE not in boss.post(path, order).content.decode() + said
