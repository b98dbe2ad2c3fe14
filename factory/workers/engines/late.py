"""LateEngine: an engine whose libraries are imported at its first checkpoint, so that a worker that never needs torch never waits for it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from factory.workers.engines import Engine, Pipeline, open_engine


class LateEngine:
    """Stands for the engine called `name`. Both methods raise Capacity, too, where its libraries do not load."""

    def __init__(self, name: str, **options: Any) -> None:
        self._name, self._options = name, options

    def footprint(self, path: Path) -> int:
        return self._engine.footprint(path)

    def load(self, path: Path) -> Pipeline:
        return self._engine.load(path)

    @cached_property
    def _engine(self) -> Engine:
        return open_engine(self._name, **self._options)
