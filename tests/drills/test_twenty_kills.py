"""The same storm, longer: twenty kills in a batch of full size."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import build_line  # noqa: F401 - a fixture
from tests.e2e.storm import WEATHER, Plan, raise_storm, seed


@pytest.mark.drill
@pytest.mark.timeout(1200)
def test_twenty_kills_lose_and_double_nothing(build_line) -> None:  # noqa: F811
    raise_storm(build_line(**WEATHER), Plan(jobs=1000, kills=20, stalls=5, side=1024, seconds=1000, seed=seed()))
