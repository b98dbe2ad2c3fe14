"""Live progress of batches: counts as they are, a rate, and what is left at that rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import inf
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from factory.cli.client import Client
from factory.cli.exit_codes import Failed
from factory.cli.output import console

PAUSE = 0.4
ENOUGH = 3  # pictures, before anything is said about the rest
ENDED_BADLY = ("failed", "rejected", "canceled", "expired")


def follow(
    client: Client, ids: Sequence[str], *, meanwhile: Callable[[], None] | None = None, patience: float = inf, quiet: bool = False
) -> list[dict[str, Any]]:
    """Draw bars on stderr until every batch is done; returns the batches. `meanwhile` is called between looks.

    Raises Failed when no picture ends for `patience` seconds.
    """
    with _bars(quiet=quiet) as bars:
        watched = [Watched(client, bars, name) for name in ids]
        while True:
            for each in watched:
                each.look()
            if all(each.is_done for each in watched):
                return [each.batch for each in watched]
            if min(time.monotonic() - each.moved_at for each in watched) > patience:
                raise Failed(f"no picture was finished for {_span(patience)}: see the logs of the GPU worker")
            until = time.monotonic() + PAUSE
            while time.monotonic() < until:
                if meanwhile:
                    meanwhile()
                time.sleep(0.1)


class Watched:
    """One batch and its bar."""

    def __init__(self, client: Client, bars: Progress, name: str) -> None:
        self._client, self._bars, self._name = client, bars, name
        self.batch = client.get(f"/batches/{name}")
        self.moved_at, self._done = time.monotonic(), int(self.batch["done"])
        self._pace: tuple[float, int] | None = None  # when the first picture was seen to end, and how many had by then
        rate, left = self._words(self._done, int(self.batch["total"]))
        self._bar = bars.add_task(self._title(), total=self.batch["total"], completed=self._done, rate=rate, left=left)

    @property
    def is_done(self) -> bool:
        """Not before its rows are read: until then it has none."""
        return self.batch["status"] not in {"reading", "paused"} and int(self.batch["done"]) >= int(self.batch["total"])

    def look(self) -> None:
        if self.is_done and self._bars.tasks[self._bar].completed:
            return
        self.batch = self._client.get(f"/batches/{self._name}")
        done, total = int(self.batch["done"]), int(self.batch["total"])
        if done != self._done:
            self._done, self.moved_at = done, time.monotonic()
            self._pace = self._pace or (self.moved_at, done)
        rate, left = self._words(done, total)
        self._bars.update(self._bar, completed=done, total=total, rate=rate, left=left)

    def _words(self, done: int, total: int) -> tuple[str, str]:
        """Rate and rest, from the first picture on: the time that a checkpoint takes to load says nothing about the others."""
        if self.batch["status"] == "reading":
            return "", "its rows are read"
        if self.batch["status"] == "paused":
            return "", "paused until `factory batches resume`"
        if self._pace is None:
            return "", troubles(self.batch) if done >= total else "waiting for a worker" if not done else ""
        began, at_first = self._pace
        rate = (done - at_first) / max(self.moved_at - began, 0.001)
        if done >= total or done - at_first < ENOUGH:
            return f"{rate:.1f}/s" if done > at_first else "", troubles(self.batch)
        return f"{rate:.1f}/s", f"about {_span((total - done) / rate)} left"

    def _title(self) -> str:
        return f"{self.batch['project']} {self.batch['external_id'] or self.batch['id'][:13]}".replace("[", "(")


def troubles(batch: dict[str, Any]) -> str:
    """`2 failed, 1 rejected`, or nothing."""
    return ", ".join(f"{batch['counts'][name]} {name}" for name in ENDED_BADLY if batch["counts"].get(name))


def _bars(*, quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}", style="cyan"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", style="dim"),
        console=console(stderr=True),
        disable=quiet,
        refresh_per_second=8,
    )


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
