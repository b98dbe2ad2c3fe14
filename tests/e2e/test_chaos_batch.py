"""Three hundred jobs, three kills, one stall, one flush, one restart: every job ends, nothing is missing, nothing is doubled."""

from __future__ import annotations

import pytest

from tests.e2e.storm import WEATHER, Plan, raise_storm, seed


@pytest.mark.timeout(600)
def test_a_batch_survives_the_storm(build_line) -> None:
    raise_storm(build_line(**WEATHER), Plan(jobs=300, kills=3, stalls=1, side=256, seconds=400, seed=seed()))
