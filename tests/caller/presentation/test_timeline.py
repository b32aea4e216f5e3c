"""The timeline of a call: the positions of its elements, for any events in any order."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_poketalk.presentation.event_kinds import Kind, ReceivedEvent, classify, missing_ticks
from django_poketalk.presentation.timeline import LEFT, RIGHT, WIDTH, Facts, Picture, Stage, draw
from django_poketalk.protocol.codes import CallStatus

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
HALF_A_MARK = 9.0


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def data(
    at: float, status: int, duration: int | None = 0, cost: str | None = None, answer: int = 200
) -> ReceivedEvent:
    money = None if cost is None else Decimal(cost)
    return ReceivedEvent(after(at), CallStatus(status), duration, money, answer)


def talked(until: float | None = 620) -> Facts:
    """A rings at 2 s and answers at 10 s, B rings at 11 s and answers at 20 s."""
    return Facts(
        created_at=START,
        sent_at=after(1),
        placed_at=after(1.5),
        a_initiated_at=after(2),
        a_answered_at=after(10),
        b_initiated_at=after(11),
        b_answered_at=after(20),
        over_at=None if until is None else after(until),
        is_open=until is None,
    )


def ticks(*minutes: int) -> list[ReceivedEvent]:
    return [data(10 + 60 * minute, 7, 60 * minute) for minute in minutes]


def stages(picture: Picture, name: str) -> list[tuple[Stage, int]]:
    [lane] = [lane for lane in picture.lanes if lane.name == name]
    return [(span.stage, span.seconds) for span in lane.spans if span.stage is not Stage.ENDED]


# Laws, for any history

seconds = st.one_of(st.integers(0, 40), st.floats(0, 3 * 3600), st.floats(0, 40 * 86400))
moments = seconds.map(after)
maybe = st.none() | moments
happened = st.builds(
    ReceivedEvent,
    at=moments,
    status=st.sampled_from(CallStatus),
    duration=st.none() | st.integers(0, 999_999_999),
    cost=st.none() | st.decimals(0, 999_999_999, places=6),
    answer=st.sampled_from([200, 412]),
)
histories = st.lists(happened, max_size=60)


@st.composite
def calls(draw_from: st.DrawFn) -> Facts:
    is_open = draw_from(st.booleans())
    return Facts(
        created_at=draw_from(moments),
        sent_at=draw_from(maybe),
        placed_at=draw_from(maybe),
        a_initiated_at=draw_from(maybe),
        a_answered_at=draw_from(maybe),
        b_initiated_at=draw_from(maybe),
        b_answered_at=draw_from(maybe),
        over_at=None if is_open else draw_from(maybe),
        is_open=is_open,
    )


any_picture = given(facts=calls(), events=histories, now=moments, previous=st.none() | happened)
thorough = settings(max_examples=100, deadline=None)


@thorough
@any_picture
def test_every_event_is_drawn_once_in_order(
    facts: Facts, events: list[ReceivedEvent], now: datetime, previous: ReceivedEvent | None
) -> None:
    picture = draw(facts, events, now, previous)

    assert [mark.event for mark in picture.marks] == events
    in_time = sorted(picture.marks, key=lambda mark: mark.event.at)
    assert [mark.x for mark in in_time] == sorted(mark.x for mark in picture.marks)


@thorough
@any_picture
def test_everything_is_inside_the_viewbox(
    facts: Facts, events: list[ReceivedEvent], now: datetime, previous: ReceivedEvent | None
) -> None:
    picture = draw(facts, events, now, previous)

    assert picture.width == WIDTH
    for mark in picture.marks:
        assert LEFT <= mark.x <= RIGHT <= WIDTH - HALF_A_MARK
        assert picture.events_y < mark.y < picture.events_y + picture.events_height
    for piece in [*itertools.chain(*(lane.spans for lane in picture.lanes)), *picture.gaps]:
        assert piece.width > 0
        assert piece.x >= LEFT
        assert piece.x + piece.width <= RIGHT + 0.2  # rounded
    for x, y in picture.cost_steps:
        assert LEFT <= x <= RIGHT
        assert picture.cost_y <= y <= picture.cost_bottom
    for lane in picture.lanes:
        assert lane.y + lane.height <= picture.events_y
    assert picture.events_y + picture.events_height <= picture.cost_y
    assert picture.cost_bottom < picture.height
    assert picture.now_x is None or LEFT <= picture.now_x <= RIGHT


@thorough
@any_picture
def test_positions_never_go_backward(
    facts: Facts, events: list[ReceivedEvent], now: datetime, previous: ReceivedEvent | None
) -> None:
    picture = draw(facts, events, now, previous)

    for lane in picture.lanes:
        assert [span.x for span in lane.spans] == sorted(span.x for span in lane.spans)
        for one, other in itertools.pairwise(lane.spans):
            assert one.begin <= one.end <= other.begin
    assert [moment.x for moment in picture.moments] == sorted(
        moment.x for moment in picture.moments
    )
    assert [x for x, _y in picture.cost_steps] == sorted(x for x, _y in picture.cost_steps)
    heights = [y for _x, y in picture.cost_steps]
    assert heights == sorted(heights, reverse=True)  # y points downwards: the cost only climbs
    for one, other in itertools.pairwise(picture.gaps):
        assert one.end <= other.begin


@thorough
@any_picture
def test_times_on_the_axis_do_not_overlap(
    facts: Facts, events: list[ReceivedEvent], now: datetime, previous: ReceivedEvent | None
) -> None:
    picture = draw(facts, events, now, previous)

    for one, other in itertools.pairwise(picture.moments):
        assert other.x - one.x >= 55  # units, of which a time of day takes 48
    assert len(picture.moments) < 20


# Stages


def test_a_call_has_its_stages() -> None:
    picture = draw(talked(), [], after(900))

    assert stages(picture, "request") == [(Stage.WAITING, 1), (Stage.SENDING, 0)]
    assert stages(picture, "a") == [
        (Stage.RINGING, 8),
        (Stage.ANSWERED, 10),
        (Stage.TALKING, 600),
    ]
    assert stages(picture, "b") == [(Stage.RINGING, 9), (Stage.TALKING, 600)]
    assert [lane.spans[-1].stage for lane in picture.lanes[1:]] == [Stage.ENDED] * 2


def test_a_live_call_ends_at_now() -> None:
    picture = draw(talked(until=None), [], after(80))

    [_request, leg_a, leg_b] = picture.lanes
    assert leg_a.spans[-1].is_open
    assert leg_b.spans[-1].is_open
    assert leg_a.spans[-1].end == after(80)
    assert picture.now_x == RIGHT


def test_a_rejected_call_has_no_ringing_stages() -> None:
    facts = Facts(created_at=START, sent_at=after(0.2), placed_at=after(0.6))

    picture = draw(facts, [], after(99))

    assert stages(picture, "a") == stages(picture, "b") == []
    assert [stage for stage, _ in stages(picture, "request")] == [Stage.WAITING, Stage.SENDING]
    assert picture.now_x is None


def test_a_short_stage_is_legible_beside_a_long_one() -> None:
    picture = draw(talked(until=3 * 3600), [], after(4 * 3600))

    [_request, leg_a, _leg_b] = picture.lanes
    ringing, _answered, talking, _ended = leg_a.spans
    assert ringing.width >= 60
    assert talking.width > 2 * ringing.width


def test_a_stage_that_was_reported_too_late_is_left_out() -> None:
    facts = Facts(
        created_at=START,
        a_initiated_at=after(30),
        a_answered_at=after(10),
        over_at=after(60),
    )

    assert stages(draw(facts, [], after(99)), "a") == [(Stage.ANSWERED, 50)]


def test_three_hours_of_ticks_do_not_overlap() -> None:
    picture = draw(talked(until=3 * 3600), ticks(*range(1, 180)), after(4 * 3600))

    places = [(mark.x, mark.y) for mark in picture.marks]
    assert len(set(places)) == len(places)
    assert picture.events_height <= 40


# Ticks


@pytest.mark.parametrize(
    ("received", "until", "missing"),
    [
        ((1, 2, 3, 4, 5), 345, []),
        ((1, 2, 5), 345, [2]),
        ((2, 3, 4, 5), 345, [1]),
        ((1, 2), 345, [3]),
        ((), 345, [5]),
        ((1, 4), 345, [2, 1]),
        ((), 60, []),
    ],
)
def test_missing_ticks_are_gaps(received: tuple[int, ...], until: int, missing: list[int]) -> None:
    events = [data(20, 7, 10), *ticks(*received), data(until, 8, until - 10)]

    picture = draw(talked(until), events, after(900))

    assert [gap.missing for gap in picture.gaps] == missing


def test_a_long_gap_counts_as_at_least_one_missing_tick() -> None:
    assert missing_ticks(timedelta(seconds=46), timedelta(seconds=136)) == 0
    assert missing_ticks(timedelta(seconds=46), timedelta(seconds=137)) == 1


def test_an_open_call_without_events_has_a_gap_up_to_now() -> None:
    picture = draw(talked(until=None), [data(20, 7, 10), *ticks(1, 2)], after(310))

    assert [(gap.begin, gap.end, gap.missing) for gap in picture.gaps] == [
        (after(130), after(310), 2)
    ]


def test_ticks_at_other_times_of_the_minute_are_not_missing() -> None:
    events = [data(20 + 60 * minute, 7, 10 + 60 * minute) for minute in range(6)]

    assert draw(talked(345), events, after(900)).gaps == ()


def test_omitted_events_are_not_a_gap() -> None:
    older, *rendered = ticks(8, 9, 10)

    assert draw(talked(), rendered, after(900), older).gaps == ()
    assert [gap.missing for gap in draw(talked(), rendered, after(900)).gaps] == [8]


def test_no_tick_is_missing_before_leg_a_has_answered() -> None:
    facts = Facts(created_at=START, a_initiated_at=after(2), over_at=after(500))

    assert draw(facts, [data(2, 1), data(500, 2)], after(900)).gaps == ()


# Kinds of events


def test_events_are_classified_as_new_tick_repeated_or_late() -> None:
    events = [
        data(2, 1),
        data(10, 3),
        data(10.1, 3),  # the same once more
        data(20, 7, 10),
        data(21, 5, 1),  # overtaken
        data(70, 7, 60),
        data(71, 7, 60),
        data(72, 7, 30),  # a tick that was overtaken by a later one
        data(99, 8, 89),
        data(100, 8, 89),
        data(101, 7, 120),
    ]

    assert classify(events) == [
        Kind.CHANGE,
        Kind.CHANGE,
        Kind.REPEATED,
        Kind.CHANGE,
        Kind.LATE,
        Kind.TICK,
        Kind.REPEATED,
        Kind.LATE,
        Kind.CHANGE,
        Kind.REPEATED,
        Kind.LATE,
    ]


def test_an_event_without_duration_is_a_tick() -> None:
    assert classify([data(20, 7, None), data(80, 7, None)]) == [Kind.CHANGE, Kind.TICK]


def test_the_first_event_is_classified_by_the_previous_one() -> None:
    assert classify(ticks(9), ticks(8)[0]) == [Kind.TICK]


def test_events_answered_with_412_are_marked() -> None:
    picture = draw(talked(), [data(70, 7, 60, answer=412), data(620, 8, 610)], after(900))

    assert [mark.is_refused for mark in picture.marks] == [True, False]


# Cost


def test_the_cost_rises_in_steps() -> None:
    events = [
        data(10, 3, 0, "0"),
        data(70, 7, 60, "0.5"),
        data(130, 7, 120, "1"),
        data(131, 7, 60, "0.5"),
    ]

    picture = draw(talked(140), events, after(900))

    bottom, top = picture.cost_bottom, picture.cost_y
    assert picture.total == 1
    assert [y for _x, y in picture.cost_steps] == [
        bottom,
        bottom,
        (bottom + top) / 2,
        (bottom + top) / 2,
        top,
        top,
    ]


def test_without_a_cost_there_is_no_line() -> None:
    assert draw(talked(), [data(70, 7, 60, "0")], after(900)).cost_steps == ()
