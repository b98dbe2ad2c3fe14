"""opening_hours: when a lane opens next, for those who explain and for those who share out places."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from factory.domain.offpeak import is_offpeak, read_windows
from factory.domain.status import Lane

# When a lane that is outside its window opens next; None while it is open.
OpensAt = Callable[[Lane, datetime], datetime | None]


def always_open(lane: Lane, moment: datetime) -> datetime | None:
    """No lane has hours of its own."""


def opening_hours(windows: str, zone: str) -> OpensAt:
    """The off-peak lane's, as domain/offpeak.py reads them; the others are always open."""

    def opens_at(lane: Lane, moment: datetime) -> datetime | None:
        if lane is not Lane.OFFPEAK or is_offpeak(moment, windows, zone):
            return None
        local = moment.astimezone(ZoneInfo(zone))
        days = (local.date(), local.date() + timedelta(days=1))
        begins = [datetime.combine(day, begin, local.tzinfo) for day in days for begin, _ in read_windows(windows)]
        return min(at for at in begins if at > moment).astimezone(UTC)

    return opens_at


def closed_now(windows: str, zone: str) -> tuple[Lane, ...]:
    """Lanes that are outside their window at this moment."""
    return closed_lanes(opening_hours(windows, zone), datetime.now(UTC))


def closed_lanes(opens_at: OpensAt, moment: datetime) -> tuple[Lane, ...]:
    """What release_held is told."""
    return tuple(lane for lane in Lane if opens_at(lane, moment) is not None)
