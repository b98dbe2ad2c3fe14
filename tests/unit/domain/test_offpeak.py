"""is_offpeak: windows as operators write them, over midnight and across time zones."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from factory.domain.offpeak import is_offpeak, read_windows

SHANGHAI = "Asia/Shanghai"


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, 1, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "inside"),
    [(at(13, 59), False), (at(14), True), (at(18), True), (at(23, 59), True), (at(0), False), (at(6), False)],
)
def test_a_night_in_shanghai_goes_over_midnight(moment: datetime, inside: bool) -> None:
    """22:00 there is 14:00 UTC, 08:00 is 00:00."""
    assert is_offpeak(moment, "22:00-08:00", SHANGHAI) is inside


def test_several_windows_and_both_kinds_of_comma() -> None:
    for windows in ("12:00-13:00, 18:30-19:00", "12:00-13:00，18:30-19:00", "12:00~13:00,18:30–19:00,"):
        hours = [is_offpeak(at(hour, 45), windows, "UTC") for hour in (11, 12, 13, 18, 19)]
        assert hours == [False, True, False, True, False]


@pytest.mark.parametrize("windows", ["", "  ", ",", "00:00-24:00"])
def test_without_a_window_it_is_always_open(windows: str) -> None:
    assert is_offpeak(at(11), windows, SHANGHAI)


def test_midnight_ends_a_window() -> None:
    assert read_windows("20:00-24:00") == ((time(20), time(0)),)
    assert [is_offpeak(at(hour), "20:00-24:00", "UTC") for hour in (19, 20, 23, 0)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("windows", "named"),
    [("night", "'night'"), ("22:00", "'22:00'"), ("22:00-25:00", "25:00"), ("10:61-11:00", "10:61"), ("08:00-08:00", "08:00-08:00")],
)
def test_what_cannot_be_read_is_named(windows: str, named: str) -> None:
    with pytest.raises(ValueError, match="off-peak window") as caught:
        is_offpeak(at(1), windows, "UTC")
    assert named in str(caught.value)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd"])
def test_an_unknown_time_zone_is_named(zone: str) -> None:
    with pytest.raises(ValueError, match="time zone") as caught:
        is_offpeak(at(1), "22:00-08:00", zone)
    assert repr(zone) in str(caught.value)
