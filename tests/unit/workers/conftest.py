"""A loaded tiny Z-Image, and a cache of 100 bytes over a shelf of checkpoints."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from factory.workers.engines.simulated import write_checkpoint
from factory.workers.pipeline_cache import PipelineCache
from tests.counting_engine import CountingEngine

if TYPE_CHECKING:
    from factory.workers.engines.zimage import LoadedZImage


@pytest.fixture
def zimage(tiny_checkpoint: Path) -> LoadedZImage:
    """Fresh for each test, so that a test may break it."""
    from factory.workers.engines.zimage import ZImageEngine

    return ZImageEngine("cpu").load(tiny_checkpoint)


@pytest.fixture
def broken(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint to break."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "broken"))


@pytest.fixture
def engine() -> CountingEngine:
    return CountingEngine()


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    for name, weight in {"a": 40, "b": 30, "c": 50, "huge": 101}.items():
        write_checkpoint(tmp_path / name, weight=weight)
    return tmp_path


@pytest.fixture
def cache(engine: CountingEngine, shelf: Path) -> PipelineCache:
    return PipelineCache({"simulated": engine}, shelf, budget_bytes=100)
