"""Expiry: when what nobody drew ends as `expired`: at a moment, or so many seconds after it was ordered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Protocol

from pydantic import Field

from factory.errors import Invalid, Problem

LONGEST = 30 * 86400
FIELDS = ("not_before", "expires_at", "expires_in")
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


class Says(Protocol):
    """Whatever says when it may begin and ends."""

    @property
    def not_before(self) -> datetime | None: ...

    @property
    def expires_at(self) -> datetime | None: ...

    @property
    def expires_in(self) -> int | None: ...


@dataclass(frozen=True)
class Times:
    """When something may begin and ends, as an order or one of its rows says it."""

    not_before: datetime | None = None
    expires_at: datetime | None = None
    expires_in: int | None = None

    @staticmethod
    def of(said: Says) -> Times:
        return Times(said.not_before, said.expires_at, said.expires_in)


NO_TIMES = Times()


def never(own: Times, whole: Times = NO_TIMES, *, now: datetime | None = None, pointer: str = "") -> list[Problem]:
    """What is wrong with an end that comes before the beginning. What a row does not say itself, the `whole` order says; a row that says
    neither is not to blame. Asked when something is ordered, as above."""
    ends = own if own.expires_in or own.expires_at else whole
    name = "expires_in" if ends.expires_in else "expires_at"
    moment, begin = now or datetime.now(UTC), own.not_before or whole.not_before
    end = moment + timedelta(seconds=ends.expires_in) if ends.expires_in else ends.expires_at
    if begin is None or end is None or begin <= moment or begin < end or (ends is whole and own.not_before is None):
        return []
    begins, at = begin.isoformat(timespec="seconds"), end.isoformat(timespec="seconds")
    of_end, of_begin = ("" if said else " of the whole order" for said in (ends is own, own.not_before))
    message = (
        f"nothing may be drawn before {begins} (`not_before`{of_begin}), and by {at} (`{name}`{of_end}) it has ended;"
        f" name an earlier `not_before` or a later `{name}`"
    )
    field, value = ("not_before", begins) if own.not_before else (name, ends.expires_in or at)
    return [Problem("invalid_value", message, f"{pointer}/{field}", value)]


def too_early(deadline: datetime | None, not_before: datetime | None) -> list[dict[str, Any]]:
    """The warning of a deadline that nothing can keep."""
    if deadline is None or not_before is None or deadline >= not_before:
        return []
    wanted, begins = deadline.isoformat(timespec="seconds"), not_before.isoformat(timespec="seconds")
    detail = f"deadline {wanted} is before `not_before` {begins}: nothing is drawn by then"
    return [{"code": "deadline_before_start", "pointer": "/deadline", "detail": detail}]


def expiry(now: datetime, at: datetime | None, seconds: int | None) -> datetime | None:
    """The end of what is ordered `now`. Raises Invalid for a moment that has passed."""
    if problems := passed(at, now=now):
        raise Invalid(None, *problems)
    return at if seconds is None else now + timedelta(seconds=seconds)
