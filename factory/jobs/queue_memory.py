"""QueueMemory: how many rows wait, remembered for a second where there are many, so that not every single order counts them all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

FEW = 1000  # are counted each time: that costs less than a millisecond, and the bound is exact
SECONDS = 1.0  # whoever is told to come back is told so for at least as long


@dataclass
class _Known:
    rows: int
    until: float


class QueueMemory:
    """Of one process. Between two counts each asker stands for one row more, turned away or not; what others order and what is drawn
    meanwhile is not seen. So a tenant may pass its bound by what it orders in a second through other processes and in batches."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._known: dict[tuple[str, str], _Known] = {}

    def queued(self, tenant: str, user: str, count: Callable[[], int]) -> int:
        """What waits of this tenant ('') or user: from memory, or by `count`, which one asker runs while the others go by the old number."""
        key = tenant, user
        with self._guard:
            known = self._known.get(key)
            if known:
                known.rows += 1
                if self._clock() < known.until:
                    return known.rows - 1
                known.until = self._clock() + SECONDS
        rows = count()
        with self._guard:
            if rows > FEW:
                self._known[key] = _Known(rows + 1, self._clock() + SECONDS)
            else:
                self._known.pop(key, None)
        return rows
