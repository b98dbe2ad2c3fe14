"""Moments are what the database, too, can hold: UTC, and years that every program knows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from factory.domain.moment import Moment

READ = TypeAdapter(Moment).validate_python


@pytest.mark.parametrize(
    "said",
    ["2026-12-01T08:00:00+08:00", "2026-12-01T00:00:00", "2026-12-01T00:00:00Z", "2026-11-30T00:01:00-23:59", "2026-12-01T16:00+16:00"],
)
def test_every_zone_becomes_utc(said: str) -> None:
    found = READ(said)
    assert (found, found.tzinfo) == (datetime(2026, 12, 1, tzinfo=UTC), UTC)


@pytest.mark.parametrize(
    "said", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "9999-01-01T00:00:00Z", "0001-01-01", "+9999999d", "+999999d"]
)
def test_a_year_that_nothing_happens_in_is_refused(said: str) -> None:
    with pytest.raises(ValidationError, match="year"):
        READ(said)
