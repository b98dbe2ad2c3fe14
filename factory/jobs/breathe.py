"""breathe: a thread that works through many rows lets the others of its process have their turn."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
AT_ONCE = 64  # rows, of a tenth of a millisecond each
PAUSE = 1e-4  # seconds


def breathe(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, with a short sleep now and then.

    A thread that waits for CPython's lock asks for it only after 5 ms in which nobody let it go. Who lets it go for an instant with each
    row, to write a line or to draw a random number, has it back before the other one is awake: an event loop beside it waited 100 ms.
    """
    for number, item in enumerate(items):
        if number % AT_ONCE == 0:
            time.sleep(PAUSE)
        yield item
