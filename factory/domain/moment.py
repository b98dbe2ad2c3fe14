"""Moment: a point in time as customers write it: ISO 8601, or so many seconds, minutes, hours or days from now."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
FROM_NOW = re.compile(r"\+(\d{1,7})([smhd])")


def _from_now(value: Any) -> Any:
    if isinstance(value, str) and (match := FROM_NOW.fullmatch(value.strip())):
        try:
            return datetime.now(UTC) + timedelta(**{UNITS[match[2]]: int(match[1])})
        except OverflowError as fault:
            raise ValueError(f"{value.strip()} from now is after the year 9999; name an earlier moment") from fault
    return value


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# UTC unless it says otherwise.
Moment = Annotated[datetime, BeforeValidator(_from_now), AfterValidator(_aware)]
