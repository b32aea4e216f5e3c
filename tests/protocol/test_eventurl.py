"""EventURL templates are expanded in one pass, and expanded queries are parsed strictly."""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_poketalk.protocol import eventurl
from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event, InvalidEvent

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60)
EVENTS = st.builds(
    Event,
    status=st.sampled_from(CallStatus),
    webcallid=TEXTS,
    duration=st.integers(0, 999_999_999),
    cost=st.decimals(0, 999_999, places=3),
)
AROUND = st.sampled_from(["", "x", "-", "7", "$", "%26", "%C3%A9", "."])
DOLLARS = st.sampled_from(["$", "%24"])
EXAMPLE = Event(CallStatus.B_ANSWERED, "web1323041193", 300, Decimal("0.515"))


class TestExpand:
    @pytest.mark.parametrize(
        ("template", "expanded"),
        [
            ("http://h/p?a=$webcallid&b=$status", "http://h/p?a=web1323041193&b=7"),
            ("http://h/p?d=$duration&c=$debit", "http://h/p?d=300&c=0.515"),
            ("http://h/p?s=%24status", "http://h/p?s=7"),
            ("http://h/p?s=$status&again=$status", "http://h/p?s=7&again=7"),
            ("http://h/p?s=x$status-y", "http://h/p?s=x7-y"),
            ("http://h/$status?s=$status", "http://h/$status?s=7"),
            ("http://h/p?s=$status#$status", "http://h/p?s=7#$status"),
            ("http://h/p#?s=$status", "http://h/p#?s=$status"),
            ("http://h/p?q=why?$status", "http://h/p?q=why?7"),
            ("http://h/p?$status=x", "http://h/p?7=x"),
            ("http://h/p?x=$other&y=$Status", "http://h/p?x=$other&y=$Status"),
            ("http://h/p?x=$$status", "http://h/p?x=$7"),
            ("http://h/$status", "http://h/$status"),
        ],
    )
    def test_replaces_variables_only_in_the_query(self, template: str, expanded: str) -> None:
        assert eventurl.expand(template, EXAMPLE) == expanded

    @pytest.mark.parametrize(
        ("value", "encoded"),
        [
            ("x&status=8", "x%26status%3D8"),
            ("$status", "%24status"),
            ("a b+c", "a%20b%2Bc"),
            ("a\r\nHost: b", "a%0D%0AHost%3A%20b"),
            ("50%", "50%25"),
            ("#?/", "%23%3F%2F"),
            ("é٣", "%C3%A9%D9%A3"),
        ],
    )
    def test_percent_encodes_values(self, value: str, encoded: str) -> None:
        event = Event(CallStatus.A_INITIATED, value)

        assert eventurl.expand("http://h/?w=$webcallid", event) == f"http://h/?w={encoded}"

    def test_encodes_lone_surrogates(self) -> None:
        event = Event(CallStatus.A_INITIATED, "\ud800")

        assert eventurl.expand("http://h/?w=$webcallid", event).isascii()

    def test_unknown_values_are_zero_and_debit_has_three_decimals(self) -> None:
        event = Event(CallStatus.A_INITIATED)

        url = eventurl.expand("http://h/?d=$duration&c=$debit", event)

        assert url == "http://h/?d=0&c=0.000"

    @given(st.text(max_size=30), EVENTS)
    def test_a_value_cannot_add_parameters(self, text: str, event: Event) -> None:
        hostile = Event(event.status, text, event.duration, event.cost)

        query = eventurl.expand("http://h/?w=$webcallid&s=$status", hostile).partition("?")[2]

        assert query.count("&") == 1
        assert query.count("=") == 2
        assert query.endswith(f"&s={event.status.value}")


class TestRoundTrip:
    @given(
        st.lists(st.tuples(AROUND, DOLLARS, st.sampled_from(eventurl.VARIABLES), AROUND)),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
        EVENTS,
    )
    @example(
        [("", "$", "webcallid", ""), ("", "%24", "status", "")], "x&status=8\r\n$status", EXAMPLE
    )
    @example([("a", "$", "status", "b"), ("$", "$", "status", "")], "", EXAMPLE)
    def test_any_parser_reads_each_value_in_place_of_its_variable(
        self, variables: list[tuple[str, str, str, str]], webcallid: str, event: Event
    ) -> None:
        event = Event(event.status, webcallid, event.duration, event.cost)
        values = {
            "webcallid": webcallid,
            "status": str(event.status.value),
            "duration": str(event.duration),
            "debit": f"{event.cost:.3f}",
        }
        pairs = [
            (f"k{place}", before, f"{dollar}{name}", after, values[name])
            for place, (before, dollar, name, after) in enumerate(variables)
        ]
        query = "&".join(f"{key}={b}{variable}{a}" for key, b, variable, a, _ in pairs)

        url = eventurl.expand(f"https://h/$status/%24debit?{query}#$status", event)

        address, _, rest = url.partition("?")
        expanded, _, fragment = rest.partition("#")
        assert address == "https://h/$status/%24debit"
        assert fragment == "$status"
        assert url.isascii()
        assert parse_qsl(expanded, keep_blank_values=True) == [
            (key, f"{unquote(b)}{value}{unquote(a)}") for key, b, _, a, value in pairs
        ]

    @given(EVENTS)
    def test_parse_reverses_expand(self, event: Event) -> None:
        url = eventurl.expand(eventurl.template("https://crm.example.com/e/1/"), event)

        assert eventurl.parse(url.partition("?")[2]) == event


class TestParse:
    def test_requires_only_the_status(self) -> None:
        assert eventurl.parse("status=3") == Event(CallStatus.A_ANSWERED)
        assert eventurl.parse("status=3&duration=&debit=") == Event(CallStatus.A_ANSWERED)

    def test_ignores_unknown_keys(self) -> None:
        assert eventurl.parse("utm=1&status=3&x&&=") == Event(CallStatus.A_ANSWERED)

    def test_a_plus_is_a_space(self) -> None:
        assert eventurl.parse("status=0&webcallid=a+b%2Bc").webcallid == "a b+c"

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "status",
            "status=",
            "status=9",
            "status=12",
            "status=+3",
            "status= 3",
            "status=3%0a",
            "status=%D9%A3",
            "status=3&status=3",
            "status=3&%73tatus=4",
            "status=3&duration=1.5",
            "status=3&duration=-1",
            "status=3&duration=%D9%A3",
            "status=3&duration=1_0",
            "status=3&duration=0x1",
            "status=3&duration=9999999999",
            "status=3&debit=%D9%A3",
            "status=3&debit=1e3",
            "status=3&debit=NaN",
            "status=3&debit=.5",
            "status=3&debit=1.",
            "status=3&debit=1,5",
            "status=3&debit=0.0000001",
            "status=3&debit=9999999999",
            "status=3&webcallid=%00",
            "status=3&webcallid=%0d%0a",
            "status=3&webcallid=%7f",
            "status=3&webcallid=%C3",
            "status=3&webcallid=%E9",
            "status=3&webcallid=%",
            "status=3&webcallid=%4",
            "status=3&webcallid=%zz",
            f"status=3&webcallid={'x' * 256}",
            "status=3&x=%00",
            f"status=3&x={'y' * 2048}",
            "$status=3",
            "status=3&webcallid=\ud800",
        ],
    )
    def test_rejects_invalid_queries(self, query: str) -> None:
        with pytest.raises(InvalidEvent):
            eventurl.parse(query)

    @given(st.text(max_size=80) | st.from_regex(r"status=[0-9٣]{1,2}(&d[a-z]{4,7}=.{0,12})?"))
    def test_parses_or_rejects_any_text(self, query: str) -> None:
        try:
            event = eventurl.parse(query)
        except InvalidEvent:
            return
        assert event.duration is None or 0 <= event.duration <= 999_999_999
        assert event.cost is None or 0 <= event.cost < 10**9


@pytest.mark.parametrize(
    ("url", "displayed"),
    [
        ("https://example.com/hook/s3cr3t?sig=s3cr3t", "https://example.com/…"),
        ("http://example.com:8080?sig=s3cr3t", "http://example.com:8080/…"),
        ("http://[2001:db8::1]:80/s3cr3t", "http://[2001:db8::1]:80/…"),
        ("https://s3cr3t:s3cr3t@example.com/", "https://example.com/"),
        ("https://example.com#s3cr3t@x", "https://example.com/…"),
        ("https://example.com\\s3cr3t@x", "https://example.com/…"),
        ("https://example.com", "https://example.com"),
        ("s3cr3t", ""),
        ("", ""),
    ],
)
def test_without_path_hides_everything_after_the_host(url: str, displayed: str) -> None:
    assert eventurl.without_path(url) == displayed


def test_format_debit_rounds_half_up() -> None:
    assert eventurl.format_debit(Decimal("0.0005")) == "0.001"
