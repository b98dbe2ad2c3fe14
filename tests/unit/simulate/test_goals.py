"""Goals say what was seen and what it is held against."""

from __future__ import annotations

from dataclasses import replace

import pytest

from factory.simulate.arrivals import arrivals
from factory.simulate.goals import References, goals
from factory.simulate.peers import Fifo
from factory.simulate.play import Play
from factory.simulate.report import promise, promises_kept
from factory.simulate.scenario import Scenario
from factory.simulate.simulate import only, play_peer, simulate

SMALL = Scenario(jobs=400, workers=4)


def verdicts(scenario, ours, fifo, **more):
    return {goal.name.split(",")[0]: goal.met for goal in goals(scenario, ours, References(fifo, more.pop("no_swap", ours), **more))}


@pytest.fixture(scope="module")
def fifo():
    return play_peer("fifo", SMALL, arrivals(SMALL))


def test_fifo_itself_misses_the_goal_of_fewer_loads_than_fifo(fifo):
    found = verdicts(SMALL, fifo, fifo)
    assert not found["times fewer loads than fifo"]
    assert found["pictures lost"]
    assert found["percent of the throughput without loads"]


def test_what_is_lost_or_doubled_is_said(fifo):
    found = verdicts(SMALL, replace(fifo, lost=1, duplicates=2), fifo)
    assert (found["pictures lost"], found["pictures doubled"]) == (False, False)


def test_no_figure_is_rounded_up_to_its_goal(fifo):
    found = {goal.name: goal for goal in goals(SMALL, replace(fifo, ninety=1000.0), References(fifo, replace(fifo, ninety=949.9)))}
    throughput = found["percent of the throughput without loads"]
    assert (throughput.seen, throughput.bound, throughput.met) == (94.9, 95.0, False)


def test_where_every_checkpoint_fits_the_card_loads_are_no_goal(fifo):
    assert "times fewer loads than fifo" not in verdicts(replace(SMALL, checkpoints=2, vram=2), fifo, fifo)


def test_a_small_tenant_is_compared_with_itself_alone():
    scenario = replace(SMALL, tenants=2, skew=30, checkpoints=1, jobs=1500)
    ordered = arrivals(scenario)
    beside = play_peer("fifo", scenario, ordered)
    alone = play_peer("fifo", scenario, only("tenant-2", ordered))
    found = verdicts(scenario, beside, beside, alone=alone)
    assert found["small tenant's p95 beside its neighbour"] is False, "FIFO lets the large tenant push the small one aside"


def test_without_ours_there_are_no_goals_and_no_server(tmp_path):
    outcome = simulate(SMALL, ["fifo", "priority-fifo"], tmp_path)
    assert ([report.policy for report in outcome.reports], outcome.goals) == (["fifo", "priority-fifo"], [])
    assert list(tmp_path.iterdir()) == []


def test_promises_are_kept_by_a_queue_with_room_and_by_no_other():
    """Loads are not in what is promised: a queue that spends its time on them breaks its word."""
    free = replace(SMALL, checkpoints=1, load=0.5, deadlines=True)
    assert play_peer("fifo", free, arrivals(free)).promises_kept == 1.0
    busy = replace(free, load=1.2, checkpoints=8, jobs=2000, rows=5, vram=1, interactive=0.2)
    kept = play_peer("fifo", busy, arrivals(busy)).promises_kept
    assert kept is not None
    assert kept < 0.9


def test_people_are_promised_nothing():
    scenario = Scenario(jobs=0, interactive=3, hours=1)
    ordered = arrivals(scenario)
    ledger = Play(scenario, ordered, [], Fifo(scenario)).run()
    assert promises_kept(ordered, ledger, promise(scenario, ordered, ledger)) is None
