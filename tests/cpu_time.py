"""CPU time of work on a machine that has other work too."""

from __future__ import annotations

import time
from collections.abc import Callable


def cpu_seconds(work: Callable[[], object]) -> float:
    """What `work` takes of this thread's CPU time."""
    started = time.thread_time()
    work()
    return time.thread_time() - started


def least_seconds(measure: Callable[[], float], *, below: float, patience: float = 20.0) -> float:
    """The least that `measure` gives, which is asked again for `patience` seconds while that is not `below`.

    Neighbours on the same cores and caches make work dearer, never cheaper: the least is what it costs.
    """
    until = time.monotonic() + patience
    least = measure()
    while least >= below and time.monotonic() < until:
        least = min(least, measure())
    return least
