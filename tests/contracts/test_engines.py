"""What every engine keeps, whichever it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factory.domain.draft import Picture
from factory.errors import BadCheckpoint, Capacity, LeaseLost
from factory.workers.check_picture import check_picture
from factory.workers.engines import ENGINES, Engine, Pipeline, open_engine
from factory.workers.engines.simulated import write_checkpoint
from tests.orders import ignore_step, order

OPTIONS: dict[str, dict[str, Any]] = {"zimage": {"device": "cpu"}, "simulated": {"seconds": 0.04}}


@pytest.fixture(scope="module", params=sorted(ENGINES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(name: str, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint if name == "zimage" else write_checkpoint(tmp_path_factory.mktemp("card"), weight=1000)


@pytest.fixture(scope="module")
def engine(name: str) -> Engine:
    return open_engine(name, **OPTIONS[name])


@pytest.fixture(scope="module")
def pipeline(engine: Engine, folder: Path) -> Pipeline:
    """One for all tests: each must find it as the others left it."""
    return engine.load(folder)


def draw(pipeline: Pipeline, **changes) -> Picture:
    return pipeline.generate(order(**changes), on_step=ignore_step)


def test_footprint_is_what_a_loaded_pipeline_takes(engine, folder, pipeline):
    assert 0 <= pipeline.bytes - engine.footprint(folder) < 1024


@pytest.mark.parametrize(("width", "height"), [(64, 64), (96, 64), (64, 128)])
def test_a_picture_has_the_ordered_size(pipeline, width, height):
    spec = order(width=width, height=height)
    picture = pipeline.generate(spec, on_step=ignore_step)
    check_picture(picture, spec)
    assert picture.pixels.shape == (height, width, 3)
    assert picture.pixels.flags.writeable


def test_each_evaluation_is_reported_once_and_in_order(pipeline):
    steps: list[tuple[int, int]] = []
    picture = pipeline.generate(order(), on_step=lambda done, total: steps.append((done, total)))
    assert steps == [(done, 8) for done in range(1, 9)]
    assert picture.evaluations == 8


def test_the_same_order_gives_the_same_pixels_and_another_seed_or_prompt_gives_others(pipeline, engine, folder):
    first = draw(pipeline).pixels
    assert np.array_equal(first, draw(pipeline).pixels)
    assert np.array_equal(first, draw(engine.load(folder)).pixels)
    assert not np.array_equal(first, draw(pipeline, seed=8).pixels)
    assert not np.array_equal(first, draw(pipeline, prompt="a red mug, 蓝色马克杯").pixels)


def test_the_extreme_seeds_draw(pipeline):
    assert not np.array_equal(draw(pipeline, seed=0).pixels, draw(pipeline, seed=2**63 - 1).pixels)


@pytest.mark.parametrize("stop_after", [1, 5, 8])
def test_a_stop_passes_through_and_leaves_the_pipeline_as_it_was(pipeline, stop_after):
    before = draw(pipeline).pixels

    def stop(done: int, _total: int) -> None:
        if done == stop_after:
            raise LeaseLost

    with pytest.raises(LeaseLost):
        pipeline.generate(order(seed=99), on_step=stop)
    assert np.array_equal(before, draw(pipeline).pixels)


def test_a_picture_says_who_drew_it_and_how_long_each_stage_took(pipeline, name):
    picture = draw(pipeline)
    assert picture.facts["engine"] == name
    assert picture.facts["device"]
    assert picture.seconds["denoise"] > 0
    assert picture.seconds["decode"] > 0


def test_an_empty_prompt_is_an_order_too(pipeline):
    assert draw(pipeline, prompt="").evaluations == 8


@pytest.mark.parametrize("verb", ["footprint", "load"])
def test_a_missing_folder_is_a_bad_checkpoint(engine, verb, tmp_path):
    with pytest.raises(BadCheckpoint, match="nowhere"):
        getattr(engine, verb)(tmp_path / "nowhere")


def test_an_unknown_engine_is_another_workers_work():
    with pytest.raises(Capacity, match="known: simulated, zimage"):
        open_engine("comfy")
