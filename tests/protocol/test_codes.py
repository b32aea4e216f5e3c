"""Response codes are read from bodies, and the statuses of a call have a total order."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_poketalk.protocol.codes import CallStatus, ResponseCode

STATUSES = st.sampled_from(CallStatus)
BOM = "\ufeff".encode()
PIECES = st.sampled_from(
    [b"0", b"00", b"1", b"10", b" ", b"\n", b"\t", b"OK", b".", b"<b>", b"\x00", BOM, b"\xc3\xa9"]
)


class TestReadCode:
    @pytest.mark.parametrize("code", list(ResponseCode))
    @pytest.mark.parametrize(
        "around",
        ["{}", " {}", "{}\r\n", "\ufeff{}", "\ufeff \n{} ", "{} ERROR. Something", "{}\tOK"],
    )
    def test_reads_a_code_with_text_around_it(self, code: ResponseCode, around: str) -> None:
        assert ResponseCode.read(around.format(code.value).encode()) is code

    def test_accepts_a_missing_leading_zero(self) -> None:
        assert ResponseCode.read(b"0") is ResponseCode.OK
        assert ResponseCode.read(b"0 OK\n") is ResponseCode.OK

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b" ",
            b"OK",
            b"00OK",
            b"00.",
            b"0 0",
            b"00 00",
            b"00 12",
            b"00\n10",
            b"10 20",
            b"0 -1",
            b"0\r\n\r\n<html>",
            "00 ٣".encode(),
            b"<html>00",
            b"x 00",
            b"000",
            b"001",
            b"010",
            b"0100",
            b"1",
            b"80",
            b"99",
            b"200",
            b"-0",
            b"+00",
            b"0x0",
            "٠٠".encode(),
            b"\xff\xfe0\x000\x00",
            b"\x0000",
        ],
    )
    def test_other_bodies_are_ambiguous(self, body: bytes) -> None:
        assert ResponseCode.read(body) is None

    @given(st.lists(PIECES, max_size=5).map(b"".join))
    def test_only_a_zero_alone_or_before_a_word_is_success(self, body: bytes) -> None:
        words = body.removeprefix(BOM).split()
        succeeds = words[:1] in ([b"0"], [b"00"]) and (len(words) == 1 or words[1][:1].isalpha())

        assert (ResponseCode.read(body) is ResponseCode.OK) == succeeds

    @given(st.binary(max_size=40))
    def test_reads_any_bytes_as_a_code_or_none(self, body: bytes) -> None:
        assert ResponseCode.read(body) in (None, *ResponseCode)

    def test_every_code_has_a_distinct_meaning(self) -> None:
        meanings = [code.meaning for code in ResponseCode]

        assert len(set(meanings)) == len(ResponseCode)
        assert all(meanings)


class TestStatusOrder:
    def test_final_statuses_rank_above_all_others(self) -> None:
        by_rank = sorted(CallStatus, key=lambda status: status.rank)

        assert [status.value for status in by_rank] == [0, 1, 3, 5, 7, 2, 4, 6, 8]
        assert [status.value for status in CallStatus if status.is_final] == [2, 4, 6, 8]

    @given(STATUSES, STATUSES)
    def test_a_status_replaces_only_lower_ones(self, one: CallStatus, other: CallStatus) -> None:
        assert (other in one.lower) == (one.merge(other) is one and one is not other)

    @given(STATUSES, STATUSES, STATUSES)
    def test_merge_is_commutative_associative_and_idempotent(
        self, a: CallStatus, b: CallStatus, c: CallStatus
    ) -> None:
        assert a.merge(b) is b.merge(a)
        assert a.merge(b).merge(c) is a.merge(b.merge(c))
        assert a.merge(a) is a
        assert a.merge(None) is a

    @given(
        st.lists(STATUSES, min_size=1, max_size=6).flatmap(
            lambda history: st.tuples(st.just(history), st.permutations(history))
        )
    )
    def test_merged_status_does_not_depend_on_the_order(
        self, histories: tuple[list[CallStatus], list[CallStatus]]
    ) -> None:
        ends = [reduce(CallStatus.merge, history) for history in histories]

        assert ends[0] is ends[1]

    def test_status_6_ranks_above_status_4(self) -> None:
        assert CallStatus.B_FAILED.merge(CallStatus.A_DISCONNECTED) is CallStatus.B_FAILED
        assert CallStatus.A_DISCONNECTED.merge(CallStatus.B_FAILED) is CallStatus.B_FAILED
