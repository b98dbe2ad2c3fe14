"""What is ordered, and when nodes are lost: the same for everybody who asks."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from factory.simulate.arrivals import arrivals, losses
from factory.simulate.scenario import Scenario

SOME = Scenario(jobs=2000, loras=4, tenants=2, skew=30)


def pictures(scenario):
    return [wanted for arrival in arrivals(scenario) for wanted in arrival.pictures]


def test_the_same_seed_orders_the_same_and_another_one_does_not():
    assert arrivals(SOME) == arrivals(SOME)
    assert arrivals(SOME) != arrivals(replace(SOME, seed=2))


def test_policies_and_cards_change_nothing_about_what_is_ordered():
    assert arrivals(SOME) == arrivals(replace(SOME, load_seconds=1.0, vram=7, ram_seconds=0.5, lora_seconds=9.0))


def test_as_many_as_asked_for_each_with_a_number_of_its_own_oldest_first():
    made = pictures(SOME)
    assert abs(len(made) - SOME.jobs) <= SOME.tenants
    assert [wanted.number for wanted in made] == list(range(1, len(made) + 1))
    assert [wanted.at for wanted in made] == sorted(wanted.at for wanted in made)
    assert sum(wanted.interactive for wanted in made) == round(SOME.jobs * SOME.interactive)
    assert max(wanted.at for wanted in made) <= SOME.span


def test_the_rows_of_an_order_are_all_of_one_kind():
    for arrival in arrivals(SOME):
        assert len({replace(wanted, number=0) for wanted in arrival.pictures}) == 1


def test_a_skew_makes_one_tenant_so_much_larger():
    rows = Counter(wanted.tenant for wanted in pictures(SOME) if not wanted.interactive)
    assert rows["tenant-1"] / rows["tenant-2"] == pytest.approx(30, rel=0.05)


def test_the_first_checkpoint_is_the_most_popular_and_half_of_the_orders_use_a_lora():
    orders = Counter((arrival.pictures[0].checkpoint, bool(arrival.pictures[0].lora)) for arrival in arrivals(replace(SOME, rows=2)))
    popular: Counter[str] = Counter()
    for (checkpoint, _), count in orders.items():
        popular[checkpoint] += count
    assert popular.most_common(1)[0][0] == "checkpoint-1"
    assert sum(count for (_, lora), count in orders.items() if lora) / popular.total() == pytest.approx(0.5, abs=0.06)


def test_a_waiting_batch_is_there_from_the_start():
    scenario = Scenario(jobs=0, bulk=500, interactive=3, checkpoints=1)
    first, *others = arrivals(scenario)
    assert (first.at, len(first.pictures)) == (0.0, 500)
    assert [len(arrival.pictures) for arrival in others] == [1, 1, 1]


def test_seconds_of_a_picture_follow_the_mean_that_is_asked_for():
    twice = pictures(replace(SOME, image_seconds=SOME.image_seconds * 2))
    assert [wanted.seconds for wanted in twice] == pytest.approx([2 * wanted.seconds for wanted in pictures(SOME)])


def test_workers_vanish_as_often_as_said():
    assert losses(SOME) == []
    scenario = Scenario(workers=100, hours=5, node_loss=2)
    found = losses(scenario)
    assert len(found) == pytest.approx(100 * 2 * 10, rel=0.1)
    assert found == sorted(found)
    assert {worker for _, worker in found} == set(range(100))
