"""How many large workbooks are read at once: reading holds a thread of the pool that answers everybody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from factory.errors import Capacity

AT_ONCE = 8  # of forty threads, and no more than one of them computes at a time
SMALL = 1024 * 1024
places = BoundedSemaphore(AT_ONCE)


@contextmanager
def turn(size: int) -> Iterator[None]:
    """For a workbook that unpacks to `size` bytes; a small one is read at any time. Raises Capacity at once: to wait would hold a thread too."""
    if size <= SMALL:
        yield
        return
    if not places.acquire(blocking=False):
        raise Capacity(f"{AT_ONCE} large workbooks are being read; send this one again in a second")
    try:
        yield
    finally:
        places.release()
