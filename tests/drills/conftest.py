"""Drills take minutes: `make drill`. They use the factory of the queue tests."""

from tests.integration.queue.conftest import build_plant

__all__ = ["build_plant"]
