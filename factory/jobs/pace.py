"""Pace: how fast a batch is drawn, and when it will end if that goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

WINDOW = timedelta(minutes=5)
# How far the 90th percentile of a normal distribution lies above its middle, in standard deviations.
NINETY = 1.2816


@dataclass(frozen=True)
class Finish:
    """Half of all such batches end before `p50`, nine of ten before `p90`."""

    p50: datetime
    p90: datetime


@dataclass(frozen=True)
class Pace:
    """Both are None when nothing is known."""

    per_minute: float | None = None
    finish: Finish | None = None


UNKNOWN = Pace()


def measure(*, drawn: int, left: int, first_start: datetime | None, not_before: datetime | None, now: datetime) -> Pace:
    """`drawn` pictures ended in the last five minutes, or since `first_start` if that is later; `left` are still to be drawn.

    Pictures come like drops: the time that `left` of them take varies with both counts, the seen and the coming ones.
    What waits for its hour (`not_before`) ends no earlier.
    """
    seconds = (now - max(first_start, now - WINDOW)).total_seconds() if first_start else 0.0
    if drawn <= 0 or seconds <= 0:
        return UNKNOWN
    per_second = drawn / seconds
    if left <= 0:
        return Pace(round(per_second * 60, 2))
    middle = left / per_second
    late = middle * (1 + NINETY * math.sqrt(1 / drawn + 1 / left))
    start = max(now, not_before) if not_before else now
    p50, p90 = (max(now + timedelta(seconds=took), start) for took in (middle, late))
    return Pace(round(per_second * 60, 2), Finish(p50, max(p50, p90)))
