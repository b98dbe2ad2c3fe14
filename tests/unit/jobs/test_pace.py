"""measure: how fast, and until when, from what was seen in the last minutes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from factory.jobs.pace import UNKNOWN, Pace, measure

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def seen(drawn, left, minutes=5.0, **more):
    return measure(drawn=drawn, left=left, **{"first_start": NOON - timedelta(minutes=minutes), "not_before": None, "now": NOON, **more})


def test_nothing_is_known_before_the_first_picture():
    assert seen(0, 10) == UNKNOWN == Pace(None, None)
    assert seen(3, 10, first_start=None) == UNKNOWN
    assert seen(3, 10, minutes=0) == UNKNOWN


def test_a_steady_line_ends_when_it_seems_to():
    pace = seen(100, 100)
    assert pace.per_minute == 20
    assert pace.finish is not None
    assert pace.finish.p50 == NOON + timedelta(minutes=5)
    assert NOON + timedelta(minutes=5.5) < pace.finish.p90 < NOON + timedelta(minutes=6.5)


def test_only_the_last_minutes_count_and_no_more_than_there_were():
    assert seen(100, 10, minutes=600).per_minute == 20
    assert seen(100, 10, minutes=1).per_minute == 100


def test_few_pictures_say_little():
    few, many = seen(2, 1000, minutes=1), seen(200, 100_000, minutes=1)
    assert few.finish is not None
    assert many.finish is not None
    assert (few.finish.p90 - NOON) / (few.finish.p50 - NOON) > (many.finish.p90 - NOON) / (many.finish.p50 - NOON)


def test_what_waits_for_its_hour_ends_no_earlier():
    tomorrow = NOON + timedelta(days=1)
    pace = seen(100, 1, not_before=tomorrow)
    assert pace.finish is not None
    assert (pace.finish.p50, pace.finish.p90) == (tomorrow, tomorrow)


def test_a_line_with_nothing_left_to_draw_has_a_rate_and_no_end():
    assert seen(10, 0) == Pace(2.0, None)
