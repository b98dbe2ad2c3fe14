"""A loaded tiny Z-Image for tests of the engine's inside."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

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
