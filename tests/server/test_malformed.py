"""Malformed requests and unusual HTTP get a 4xx response, never a 5xx."""

from __future__ import annotations

import pytest
from django.test import Client

from django_poketalk.server.models import Call

from .conftest import CALLER, PATH, Customer


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"from_": "123456"}, "123456"),
        ({"to": "1234567890123456"}, "1234567890123456"),
        ({"to": "0044207946012"}, "0044207946012"),
        ({"to": CALLER}, "same number"),
        ({"to": f"+{CALLER[:2]} {CALLER[2:]}"}, "same number"),
        ({"to": "1202555;phone-context=x"}, "1202555"),
        ({"to": "12025550123@evil"}, "12025550123@evil"),
        ({"to": "1202555012\0003"}, "1202555012"),
        ({"to": "1202555٠123"}, "1202555"),
        ({"custom": "x" * 256}, "256 characters"),
        ({"custom": "a\r\nb"}, "position 2"),
        ({"custom": "a\0"}, "position 2"),
        ({"custom": "\x85"}, "position 1"),
        ({"custom": "a\u2028b"}, "position 2"),
        ({"custom": "a\N{REPLACEMENT CHARACTER}"}, "not valid UTF-8"),
        ({"eventurl": "https://example.com/" + "x" * 236}, "256 characters"),
        ({"eventurl": "ftp://example.com/"}, "http"),
        ({"eventurl": "example.com/events"}, "http"),
        ({"eventurl": "http://user@example.com/"}, "user name"),
        ({"eventurl": "http://127.0.0.1/"}, "127.0.0.1"),
        ({"eventurl": "http://example.com:22/"}, "port 22"),
        ({"eventurl": "http://example.com/\0"}, "characters"),
        ({"eventurl": "http://exämple.com/"}, "characters"),
    ],
)
def test_400_explains_the_error_in_one_line(
    customer: Customer, bad: dict[str, str], message: str
) -> None:
    line = customer.bad_request(**bad)
    assert message in line
    assert line.isprintable()
    assert not Call.objects.exists()


def test_accepts_255_characters(customer: Customer) -> None:
    url = "https://example.com/" + "x" * 235
    assert customer.request_call(custom="ü" * 255, eventurl=url) == "00"
    call = Call.objects.get()
    assert (call.custom, call.eventurl) == ("ü" * 255, url)


@pytest.mark.parametrize("name", ["api_key", "from", "to", "custom", "eventurl"])
def test_400_for_a_repeated_field(customer: Customer, name: str) -> None:
    form = customer.form(custom="a", eventurl="https://example.com/")
    form[name] = [form[name], form[name]]
    response = customer.client.post(PATH, form)
    assert response.status_code == 400
    assert name in response.content.decode()


def test_ignores_parameters_in_the_url(customer: Customer) -> None:
    form = customer.form()
    response = customer.client.post(f"{PATH}?api_key={form.pop('api_key')}", form)
    assert response.content == b"10"


def test_the_response_is_plain_text(customer: Customer) -> None:
    response = customer.post()
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response.content == b"00"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_405_for_every_method_except_post(client: Client, method: str) -> None:
    response = client.generic(method, PATH)
    assert response.status_code == 405
    assert response["Allow"] == "POST"


def test_requires_no_csrf_token_and_no_login(customer: Customer) -> None:
    customer.client = Client(enforce_csrf_checks=True)
    assert customer.request_call() == "00"


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/x-www-form-urlencoded; charset=latin-1", b"api_key=a", 400),
        ("application/x-www-form-urlencoded; charset=rot13", b"api_key=a", 400),
        ("application/x-www-form-urlencoded", b"&".join([b"a=b"] * 1001), 400),
        ("application/x-www-form-urlencoded", b"x" * (16 * 1024 + 1), 413),
        ("application/x-www-form-urlencoded", b"api_key=%ff%fe%00&from=%zz", 200),
        ("multipart/form-data", b"", 200),
        ("multipart/form-data; boundary=", b"x", 400),
        ("multipart/form-data; boundary=x; charset=rot13", b"--x--", 200),
        (
            "multipart/form-data; boundary=x; charset=rot13",
            b'--x\r\nContent-Disposition: form-data; name="api_key"\r\n\r\na\r\n--x--\r\n',
            400,
        ),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data; name*=nonsense''%41\r\n\r\na\r\n--x--\r\n",
            200,
        ),
        ("application/json", b'{"api_key": "a"}', 200),
        ("", b"api_key=a", 200),
    ],
)
def test_unusual_bodies_never_cause_a_server_error(
    customer: Customer, content_type: str, body: bytes, status: int
) -> None:
    response = customer.client.generic("POST", PATH, body, content_type=content_type)
    assert response.status_code == status
    if status == 200:
        assert response.content == b"10" if b"%ff" not in body else b"20"


def test_accepts_a_multipart_form(customer: Customer) -> None:
    response = customer.client.post(PATH, customer.form(), format="multipart")
    assert response.content == b"00"


def test_an_invalid_length_never_causes_a_server_error(customer: Customer) -> None:
    for length in ("-1", "x", "99999999999999999999"):
        response = customer.client.post(PATH, customer.form(), CONTENT_LENGTH=length)
        assert response.status_code < 500


@pytest.mark.parametrize("method", ["get", "put", "delete", "head", "options"])
def test_405_says_in_a_line_what_to_send(customer: Customer, method: str) -> None:
    for path, allowed in ((PATH, "POST"), ("/api/health/", "GET, HEAD")):
        if method.upper() in allowed:
            continue
        response = getattr(customer.client, method)(path)
        assert (response.status_code, response["Allow"]) == (405, allowed)
        line = f"Send a {allowed.split(',')[0]} request."
        assert response.content.decode() == ("" if method == "head" else line)
        assert response["Content-Type"] == "text/plain; charset=utf-8"
