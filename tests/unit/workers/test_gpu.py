"""Gpu: one picture at a time, a good one or an error, and nothing that keeps memory."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from factory import metrics
from factory.domain.draft import Picture
from factory.domain.generation_spec import GenerationSpec
from factory.errors import BadPicture, LeaseLost
from factory.workers.checkpoints import manifest_sha256
from factory.workers.engines.simulated import SimulatedEngine, SimulatedPipeline, write_checkpoint
from factory.workers.gpu import Gpu
from factory.workers.pipeline_cache import PipelineCache
from tests.counting_engine import CountingEngine
from tests.cpu_time import least_seconds
from tests.orders import order

if TYPE_CHECKING:
    from factory.workers.engines.zimage import LoadedZImage


@pytest.fixture
def gpu(tiny_checkpoint: Path) -> Gpu:
    from factory.workers.engines.zimage import ZImageEngine

    return Gpu(PipelineCache({"zimage": ZImageEngine("cpu")}, tiny_checkpoint.parent, budget_bytes=10**9), "worker-1")


@pytest.fixture
def spec(tiny_checkpoint: Path) -> GenerationSpec:
    return order(checkpoint=tiny_checkpoint.name, checkpoint_sha256=manifest_sha256(tiny_checkpoint))


def test_two_threads_never_run_one_pipeline_at_once_and_each_gets_its_own_picture(gpu, spec):
    specs = [spec.model_copy(update={"seed": seed, "width": 64 + 16 * (seed % 3)}) for seed in range(12)]
    alone = [gpu.generate(each).pixels for each in specs]
    order_of_steps: list[int] = []

    def note(_done: int, _total: int) -> None:
        order_of_steps.append(threading.get_ident())
        time.sleep(0.001)

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda each: gpu.generate(each, note).pixels, specs))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))
    runs = [order_of_steps[start : start + 8] for start in range(0, 96, 8)]
    assert all(len(set(run)) == 1 for run in runs)
    assert len(set(order_of_steps)) > 1


def test_ready_comes_with_the_first_real_picture(gpu, spec, tiny_checkpoint):
    assert not gpu.ready
    picture = gpu.warm_up(spec.checkpoint, spec.checkpoint_sha256, engine="zimage", side=64)
    assert gpu.ready
    assert picture.evaluations == 8
    assert picture.seconds["load"] > 0.005
    assert gpu.resident() == [tiny_checkpoint.name]
    misses = metrics.cache_requests_total.labels("miss")._value
    before = misses.get()
    assert least_seconds(lambda: gpu.generate(spec).seconds["load"], below=0.005) < 0.005
    assert misses.get() == before


def test_a_failed_warm_up_is_not_ready(gpu, spec):
    with pytest.raises(BadPicture):
        poison(gpu, spec).warm_up(spec.checkpoint, spec.checkpoint_sha256, engine="zimage", side=64)
    assert not gpu.ready


def poison(gpu: Gpu, spec: GenerationSpec) -> Gpu:
    import torch

    with gpu.cache.pin(spec) as pipeline, torch.no_grad():
        cast("LoadedZImage", pipeline).pipeline.vae.decoder.conv_out.weight.zero_()
    return gpu


def test_a_flat_picture_is_an_error_and_no_other_seed_is_tried(gpu, spec):
    steps: list[int] = []
    with pytest.raises(BadPicture, match="flat"):
        poison(gpu, spec).generate(spec, lambda done, _total: steps.append(done))
    assert steps == list(range(1, 9))


def test_an_engine_that_skips_evaluations_is_found_out(tmp_path):
    class Hasty(SimulatedPipeline):
        def generate(self, spec, *, on_step):
            picture = super().generate(spec, on_step=on_step)
            return Picture(picture.pixels, 4, picture.seconds, picture.facts)

    class HastyEngine(SimulatedEngine):
        def load(self, path):
            return Hasty(1, 0.0)

    write_checkpoint(tmp_path / "card")
    hasty = Gpu(PipelineCache({"simulated": HastyEngine(0)}, tmp_path, budget_bytes=10**9))
    with pytest.raises(BadPicture, match="4 evaluations ran"):
        hasty.generate(order(engine="simulated", checkpoint="card", checkpoint_sha256=manifest_sha256(tmp_path / "card")))


def test_a_stop_frees_the_card_for_the_next_order(gpu, spec):
    before = gpu.generate(spec).pixels

    def stop(_done: int, _total: int) -> None:
        raise LeaseLost

    with pytest.raises(LeaseLost):
        gpu.generate(spec, stop)
    assert np.array_equal(before, gpu.generate(spec).pixels)


def test_an_error_that_is_kept_does_not_keep_the_weights(gpu, spec):
    def fail(_done: int, _total: int) -> None:
        raise RuntimeError("kept by somebody")

    gpu.generate(spec)
    with gpu.cache.pin(spec) as pipeline:
        weights = weakref.ref(cast("LoadedZImage", pipeline).pipeline.transformer)
    del pipeline
    gc.collect()
    gc.disable()
    try:
        kept: Exception | None = None
        try:
            gpu.generate(spec, fail)
        except RuntimeError as error:
            kept = error
        gpu.cache.clear()
        assert kept is not None
        assert weights() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("seconds", [0.05, 0.2])
def test_the_simulated_gpu_takes_its_time(tmp_path, seconds):
    write_checkpoint(tmp_path / "card")
    gpu = Gpu(PipelineCache({"simulated": SimulatedEngine(seconds)}, tmp_path, budget_bytes=10**9))
    spec = order(engine="simulated", checkpoint="card", checkpoint_sha256=manifest_sha256(tmp_path / "card"), width=256, height=256)
    gpu.generate(spec)
    started = time.perf_counter()
    for seed in range(4):
        gpu.generate(spec.model_copy(update={"seed": seed}))
    taken = (time.perf_counter() - started) / 4
    assert seconds <= taken


def test_the_next_checkpoint_loads_while_a_picture_is_drawn(tmp_path):
    """Two checkpoints that take 0.3 s to load; there is room for both, then for one only."""
    specs = {}
    for name in ("one", "two"):
        folder = write_checkpoint(tmp_path / name, weight=100, load_seconds=0.3)
        digest = manifest_sha256(folder)
        specs[name] = order(engine="simulated", checkpoint=name, checkpoint_sha256=digest, width=256, height=256)
    engine = CountingEngine()
    roomy = Gpu(PipelineCache({"simulated": engine}, tmp_path, budget_bytes=200))
    roomy.generate(specs["one"])
    roomy.prefetch(specs["two"])
    assert roomy.resident() == ["two", "one"]
    roomy.generate(specs["two"])
    assert engine.loads == ["one", "two"], "it did not load again"

    tight = Gpu(PipelineCache({"simulated": SimulatedEngine(0.05)}, tmp_path, budget_bytes=100))
    with tight.cache.pin(specs["one"]):
        tight.prefetch(specs["two"])
        assert tight.resident() == ["one"]
    assert tight.generate(specs["two"]).evaluations == 8
