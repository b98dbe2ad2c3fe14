"""A simulated worker costs what a real one would."""

from __future__ import annotations

import pytest

from factory.simulate.arrivals import Wanted
from factory.simulate.scenario import Scenario
from factory.simulate.worker import SimulatedWorker

LOAD, LORA, RAM = 7.5, 0.3, 1.2


def wanted(checkpoint="a", lora="", number=1):
    return Wanted(number, 0.0, "tenant-1", interactive=False, checkpoint=checkpoint, lora=lora, width=64, height=64, seconds=2.0)


def worker(**changes):
    return SimulatedWorker("gpu-1", Scenario(load_seconds=LOAD, lora_seconds=LORA, **{"vram": 2, **changes}))


def test_the_first_picture_loads_and_the_second_does_not():
    one = worker()
    assert one.begin(wanted(), 0).seconds == LOAD + 2.0
    assert one.begin(wanted(), 9.5).seconds == 2.0
    assert one.loads == 1


def test_the_least_recently_used_checkpoint_goes():
    one = worker()
    for name in ("a", "b", "a", "c"):
        one.begin(wanted(name), 0)
    assert one.resident == ["c", "a"]
    assert one.loads == 3


def test_a_checkpoint_comes_faster_from_memory_once_it_was_there():
    one = worker(vram=1, ram_seconds=RAM)
    assert [one.begin(wanted(name), 0).loading for name in ("a", "b", "a", "b")] == [LOAD, LOAD, RAM, RAM]
    one.restart()
    assert one.begin(wanted("a"), 0).loading == LOAD


def test_a_lora_costs_when_it_changes_and_not_when_it_goes():
    one = worker()
    stints = [one.begin(wanted(lora=lora), 0).switching for lora in ("x", "x", "", "x", "y")]
    assert stints == [LORA, 0.0, 0.0, LORA, LORA]
    assert one.lora_switches == 3


def test_what_was_loaded_meanwhile_is_waited_for_no_longer_than_it_takes():
    one = worker()
    one.begin(wanted("a"), 0)
    one.prefetch(wanted("b"), 10.0)
    assert one.begin(wanted("b"), 12.0).loading == pytest.approx(LOAD - 2.0)
    assert one.begin(wanted("b"), 30.0).loading == 0.0
    assert one.loads == 2


def test_there_is_no_loading_ahead_on_a_card_for_one_checkpoint():
    one = worker(vram=1)
    one.begin(wanted("a"), 0)
    one.prefetch(wanted("b"), 0)
    assert one.resident == ["a"]


def test_the_picture_that_is_drawn_keeps_its_checkpoint_while_another_one_comes():
    one = worker()
    one.begin(wanted("a"), 0)
    one.begin(wanted("b"), 0)
    one.prefetch(wanted("c"), 0)
    assert one.resident == ["b", "c"]


def test_a_crash_empties_the_card_and_keeps_the_bill():
    one = worker()
    one.begin(wanted("a"), 0)
    one.restart()
    assert (one.resident, one.loads, one.lives) == ([], 1, 2)
