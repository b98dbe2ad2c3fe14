"""Naming an engine loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = "{'torch', 'diffusers', 'transformers'}"


@pytest.mark.parametrize(
    "module", ["workers", "workers.engines", "workers.gpu", "workers.pipeline_cache", "workers.engines.simulated", "workers.engines.vram"]
)
def test_importing_the_floor_loads_no_torch(module):
    code = f"import sys, factory.{module}; print(sorted({HEAVY} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"


def test_opening_zimage_does():
    code = f"import sys; from factory.workers.engines import open_engine; open_engine('zimage'); print(len({HEAVY} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "3"
