"""check_times: an order that would end before it may begin is refused as a whole, when it is ordered or quoted."""

from __future__ import annotations

from datetime import datetime

from factory.domain.expiry import Says, Times, never
from factory.errors import Invalid


def check_times(order: Says, moment: datetime | None = None) -> None:
    """Raises Invalid."""
    if problems := never(Times.of(order), now=moment):
        raise Invalid(None, *problems)
