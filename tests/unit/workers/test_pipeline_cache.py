"""PipelineCache: bytes, pins, what was ordered and nothing else, memory that comes back."""

from __future__ import annotations

import gc
import shutil
import weakref
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory import metrics
from factory.errors import BadCheckpoint, Capacity, OutOfVram
from factory.workers.checkpoints import manifest_sha256
from factory.workers.engines.simulated import SimulatedEngine, write_checkpoint
from factory.workers.pipeline_cache import PipelineCache
from tests.counting_engine import spec_for, use
from tests.orders import ignore_step, order

if TYPE_CHECKING:
    from factory.workers.engines.zimage import LoadedZImage


def test_the_second_request_is_a_hit(cache, shelf, engine):
    hits = metrics.cache_requests_total.labels("hit")._value.get()
    assert use(cache, shelf, "a") is use(cache, shelf, "a")
    assert engine.loads == ["a"]
    assert metrics.cache_requests_total.labels("hit")._value.get() == hits + 1


def test_the_least_recently_used_leaves_when_the_bytes_do_not_suffice(cache, shelf):
    for name in ("a", "b", "a"):
        use(cache, shelf, name)
    assert (cache.resident(), cache.bytes) == (["a", "b"], 70)
    use(cache, shelf, "c")
    assert (cache.resident(), cache.bytes) == (["c", "a"], 90)
    assert metrics.cache_bytes._value.get() == 90


def test_a_pinned_pipeline_stays_and_a_newcomer_evicts_another(cache, shelf):
    with cache.pin(spec_for(shelf, "a")):
        use(cache, shelf, "b")
        use(cache, shelf, "c")
        assert cache.resident() == ["c", "a"]


def test_what_does_not_fit_beside_the_pinned_is_refused_with_figures_and_evicts_nothing(cache, shelf, engine):
    use(cache, shelf, "b")
    with cache.pin(spec_for(shelf, "c")), pytest.raises(OutOfVram, match=r"'huge' needs 101 bytes; the budget is 100, of which 50"):
        use(cache, shelf, "huge")
    assert cache.resident() == ["c", "b"]
    assert "huge" not in engine.loads


def test_a_pin_inside_a_pin_holds_until_the_last_ends(cache, shelf):
    spec = spec_for(shelf, "a")
    with cache.pin(spec):
        with cache.pin(spec):
            pass
        use(cache, shelf, "b")
        use(cache, shelf, "c")
        assert "a" in cache.resident()
    cache.clear()
    assert (cache.resident(), cache.bytes) == ([], 0)


def test_an_error_inside_the_block_lets_go(cache, shelf):
    with pytest.raises(KeyError), cache.pin(spec_for(shelf, "a")):
        raise KeyError
    cache.clear()
    assert cache.resident() == []


def test_a_failed_load_gives_its_room_back_and_the_next_try_loads(cache, shelf, engine):
    spec = spec_for(shelf, "c")
    card = (shelf / "c" / "card.json").read_text()
    (shelf / "c" / "card.json").write_text("{}")
    with pytest.raises(BadCheckpoint), cache.pin(spec):
        pass
    (shelf / "c" / "card.json").write_text(card)
    write_checkpoint(shelf / "full", weight=100)
    use(cache, shelf, "full")
    use(cache, shelf, "c")
    assert cache.resident() == ["c"]


def test_other_bytes_than_ordered_are_not_loaded(cache, shelf, engine):
    spec = spec_for(shelf, "a")
    write_checkpoint(shelf / "a", weight=41)
    with pytest.raises(BadCheckpoint, match="copy it again"), cache.pin(spec):
        pass
    assert engine.loads == []


@pytest.mark.parametrize("name", ["../a", "x/../a", "/etc", "..", ".", "", "a/.."])
def test_a_name_is_one_folder_of_the_shelf(cache, shelf, name):
    with (
        pytest.raises(BadCheckpoint),
        cache.pin(order(engine="simulated", checkpoint=name, checkpoint_sha256=manifest_sha256(shelf / "a"))),
    ):
        pass


def test_a_folder_that_is_not_there_is_another_workers_work_until_it_is(cache, shelf):
    spec = spec_for(shelf, "a").model_copy(update={"checkpoint": "late"})
    assert cache.lacks("late")
    with pytest.raises(Capacity, match="no folder of checkpoint 'late'"), cache.pin(spec):
        pass
    shutil.copytree(shelf / "a", shelf / "late")
    assert not cache.lacks("late")
    with cache.pin(spec):
        shutil.rmtree(shelf / "late")
        assert not cache.lacks("late"), "it is loaded"
    cache.clear()
    assert cache.lacks("late")


@pytest.mark.parametrize("name", ["..", "", "x/../nowhere", "n" * 300])
def test_what_no_worker_can_have_is_not_left_to_others(cache, name):
    assert not cache.lacks(name)


def test_an_empty_folder_is_a_bad_checkpoint(cache, shelf):
    (shelf / "empty").mkdir()
    assert not cache.lacks("empty")
    with (
        pytest.raises(BadCheckpoint, match="missing or empty"),
        cache.pin(order(engine="simulated", checkpoint="empty", checkpoint_sha256=manifest_sha256(shelf / "a"))),
    ):
        pass


def test_an_engine_that_this_worker_lacks_is_another_workers_work(cache):
    with pytest.raises(Capacity, match="no engine 'zimage'"), cache.pin(order()):
        pass


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abcdef"), max_size=40), st.integers(35, 120))
def test_the_budget_holds_whatever_is_asked(tmp_path_factory, names, budget):
    shelf = tmp_path_factory.getbasetemp() / "shelf"
    specs = {name: spec_for(shelf, name) for place, name in enumerate("abcdef") if write_checkpoint(shelf / name, weight=10 + 5 * place)}
    cache = PipelineCache({"simulated": SimulatedEngine(0)}, shelf, budget_bytes=budget)
    for name in names:
        with cache.pin(specs[name]) as pipeline:
            assert cache.resident()[0] == name
            assert cache.bytes <= budget
            assert pipeline.bytes == 10 + 5 * "abcdef".index(name)


def test_eviction_frees_the_weights_at_once(tiny_checkpoint, tmp_path):
    from factory.workers.engines.zimage import ZImageEngine

    for name in ("one", "two"):
        shutil.copytree(tiny_checkpoint, tmp_path / name)
    engine = ZImageEngine("cpu")
    cache = PipelineCache({"zimage": engine}, tmp_path, budget_bytes=engine.footprint(tmp_path / "one") * 3 // 2)
    sha256 = manifest_sha256(tiny_checkpoint)
    gc.collect()
    gc.disable()
    try:
        with cache.pin(order(checkpoint="one", checkpoint_sha256=sha256)) as pipeline:
            pipeline.generate(order(), on_step=ignore_step)
            weights = weakref.ref(cast("LoadedZImage", pipeline).pipeline.transformer)
        del pipeline
        with cache.pin(order(checkpoint="two", checkpoint_sha256=sha256)):
            assert weights() is None
    finally:
        gc.enable()
