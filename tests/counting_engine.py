"""An engine that counts its loads and can be held up, and the shelf of checkpoints that it loads from."""

from __future__ import annotations

import threading
from pathlib import Path

from factory.domain.generation_spec import GenerationSpec
from factory.workers.checkpoints import manifest_sha256
from factory.workers.engines import Pipeline
from factory.workers.engines.simulated import SimulatedEngine
from factory.workers.pipeline_cache import PipelineCache
from tests.orders import order


class CountingEngine(SimulatedEngine):
    """Remembers what it loaded, and waits at a gate if one is set."""

    def __init__(self) -> None:
        super().__init__(seconds=0)
        self.loads: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def load(self, path: Path):
        self.loads.append(path.name)
        assert self.gate.wait(10)
        return super().load(path)


def spec_for(shelf: Path, name: str) -> GenerationSpec:
    return order(engine="simulated", checkpoint=name, checkpoint_sha256=manifest_sha256(shelf / name))


def use(cache: PipelineCache, shelf: Path, name: str) -> Pipeline:
    with cache.pin(spec_for(shelf, name)) as pipeline:
        return pipeline
