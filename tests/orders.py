"""Specs for tests that draw."""

from __future__ import annotations

from typing import Any

from factory.domain.generation_spec import GenerationSpec


def order(**changes: Any) -> GenerationSpec:
    """A small picture of the tiny Z-Image checkpoint, changed as asked."""
    usual: dict[str, Any] = {
        "prompt": "a red mug, 红色马克杯",
        "checkpoint": "tiny",
        "checkpoint_sha256": "",
        "engine": "zimage",
        "width": 64,
        "height": 64,
        "seed": 7,
    }
    return GenerationSpec(**{**usual, **changes})


def ignore_step(done: int, total: int) -> None:
    """Neither shows progress nor stops."""
