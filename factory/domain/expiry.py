"""Expiry: when what nobody drew ends as `expired`: at a moment, or so many seconds after it was ordered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field

from factory.errors import Invalid, Problem

LONGEST = 30 * 86400
Seconds = Annotated[int, Field(ge=1, le=LONGEST)]


def not_both(at: datetime | None, seconds: int | None) -> None:
    """Raises ValueError, as pydantic wants it."""
    if at is not None and seconds is not None:
        raise ValueError("give `expires_at` or `expires_in`, not both")


def passed(at: datetime | None, *, now: datetime | None = None, pointer: str = "") -> list[Problem]:
    """What is wrong with a moment that is not to come. Asked when something is ordered, not when it is read: an order that was taken may
    be sent again after its end, and is told how it stands."""
    if at is None or at > (now or datetime.now(UTC)):
        return []
    said = at.isoformat(timespec="seconds")
    message = f"expires_at {said} has passed; name a moment to come, or leave it out"
    return [Problem("invalid_value", message, f"{pointer}/expires_at", said)]


def expiry(now: datetime, at: datetime | None, seconds: int | None) -> datetime | None:
    """The end of what is ordered `now`. Raises Invalid for a moment that has passed."""
    if problems := passed(at, now=now):
        raise Invalid(None, *problems)
    return at if seconds is None else now + timedelta(seconds=seconds)
