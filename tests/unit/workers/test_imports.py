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


@pytest.mark.drill
def test_opening_zimage_does():
    code = f"import sys; from factory.workers.engines import open_engine; open_engine('zimage'); print(len({HEAVY} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "3"


def test_a_worker_whose_torch_does_not_load_leaves_the_order_to_others():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from factory.errors import Capacity\nfrom factory.workers.engines import open_engine\n"
        "from factory.workers.engines.vram import WITHOUT_CARD, vram_budget\n"
        "assert vram_budget() == WITHOUT_CARD\nopen_engine('simulated')\n"
        "try: open_engine('zimage')\nexcept Capacity as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "does not load on this worker" in said
    assert "requirements/engine.lock" in said
