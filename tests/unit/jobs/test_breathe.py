"""What it does to an event loop beside it, `bench.ingest` measures: a count of turns would depend on what else the machine does."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from factory.jobs.breathe import AT_ONCE, breathe


def test_the_same_items_and_none_is_asked_for_early() -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for number in range(3 * AT_ONCE):
            asked.append(number)
            yield number

    for number, item in enumerate(breathe(items())):
        assert item == number
        assert len(asked) == number + 1
    assert not list(breathe([]))


def test_it_sleeps_before_every_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    assert len(list(breathe(range(3 * AT_ONCE)))) == 3 * AT_ONCE
    assert len(slept) == 3
    assert all(0 < pause < 0.001 for pause in slept)
