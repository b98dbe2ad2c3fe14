"""PipelineCache among threads: one load for many, hits that do not wait, room that is reserved."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from factory.errors import OutOfVram
from factory.workers.engines.simulated import write_checkpoint
from tests.counting_engine import use


def test_many_threads_that_ask_for_one_checkpoint_cause_one_load(cache, shelf, engine):
    engine.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(use, cache, shelf, "a") for _ in range(8)]
        time.sleep(0.1)
        engine.gate.set()
        assert len({id(request.result(10)) for request in asked}) == 1
    assert engine.loads == ["a"]


def test_a_hit_does_not_wait_for_the_load_of_another(cache, shelf, engine):
    use(cache, shelf, "a")
    engine.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(use, cache, shelf, "b")
        while engine.loads != ["a", "b"]:
            time.sleep(0.001)
        use(cache, shelf, "a")
        assert not loading.done()
        engine.gate.set()
        loading.result(10)


def test_room_is_reserved_while_a_load_runs(cache, shelf, engine):
    engine.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(use, cache, shelf, "c")
        while engine.loads != ["c"]:
            time.sleep(0.001)
        write_checkpoint(shelf / "d", weight=60)
        with pytest.raises(OutOfVram, match="of which 50 are in use"):
            use(cache, shelf, "d")
        engine.gate.set()
        loading.result(10)
