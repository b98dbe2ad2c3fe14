"""Moment: a point in time as customers write it: ISO 8601, or so many seconds, minutes, hours or days from now."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
YEARS = range(1970, 3000)
FROM_NOW = re.compile(r"\+(\d{1,7})([smhd])")


def _from_now(value: Any) -> Any:
    if isinstance(value, str) and (match := FROM_NOW.fullmatch(value.strip())):
        try:
            return datetime.now(UTC) + timedelta(**{UNITS[match[2]]: int(match[1])})
        except OverflowError as fault:
            raise ValueError(f"{value.strip()} from now is after the year 9999; name an earlier moment") from fault
    return value


def _in_utc(moment: datetime) -> datetime:
    """Other programs, the database among them, know fewer years and fewer zones than Python does."""
    try:
        found = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        found = datetime.max.replace(tzinfo=UTC)
    if found.year not in YEARS:
        raise ValueError(f"the year must be {YEARS[0]} to {YEARS[-1]}; leave it out where there is no such moment")
    return found


# UTC unless it says otherwise.
Moment = Annotated[datetime, BeforeValidator(_from_now), AfterValidator(_in_utc)]
