"""When the off-peak lane opens next."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from factory.domain.status import Lane
from factory.jobs.opening_hours import always_open, closed_lanes, opening_hours


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-01T{text}:00+00:00")


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("12:00", "14:00"),  # 22:00 in Shanghai
        ("13:59", "14:00"),
        ("14:00", None),
        ("20:00", None),  # past midnight there
        ("23:59", None),
        ("04:00", "14:00"),
    ],
)
def test_the_next_window(now, opens):
    found = opening_hours("22:00-08:00", "Asia/Shanghai")(Lane.OFFPEAK, at(now))
    assert found == (at(opens) if opens else None)


def test_the_first_of_several_and_the_day_after():
    hours = opening_hours("02:00-03:00, 12:30-13:30", "UTC")
    assert hours(Lane.OFFPEAK, at("04:00")) == at("12:30")
    assert hours(Lane.OFFPEAK, at("14:00")) == datetime(2026, 3, 2, 2, tzinfo=UTC)


def test_other_lanes_and_no_windows():
    noon = at("12:00")
    hours = opening_hours("22:00-08:00", "UTC")
    assert closed_lanes(hours, noon) == (Lane.OFFPEAK,)
    assert closed_lanes(opening_hours("", "UTC"), noon) == closed_lanes(always_open, noon) == ()
