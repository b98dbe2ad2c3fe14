"""The discrete events, on policies in memory: what theory says must come out."""

from __future__ import annotations

import pytest

from factory.simulate.arrivals import arrivals, losses
from factory.simulate.peers import Fifo, PriorityFifo, QueuePerCheckpoint, deal_out
from factory.simulate.play import Play
from factory.simulate.report import make_report, percentile
from factory.simulate.scenario import Scenario
from factory.simulate.simulate import PEERS, play_peer


def play(scenario, policy=None):
    ordered = arrivals(scenario)
    return ordered, Play(scenario, ordered, losses(scenario), policy or Fifo(scenario)).run()


def work(ordered):
    return sum(wanted.seconds for arrival in ordered for wanted in arrival.pictures)


def test_one_checkpoint_and_no_lora_means_busy_is_the_offered_load_exactly():
    scenario = Scenario(jobs=3000, checkpoints=1, load_seconds=0.0, load=0.8)
    ordered, ledger = play(scenario)
    report = make_report(scenario, ordered, "fifo", ledger, wall=0, taking=0)
    assert ledger.drawing == pytest.approx(work(ordered), rel=1e-12)
    assert report.busy_percent == pytest.approx(100 * work(ordered) / scenario.workers / ledger.ended, abs=0.006)
    assert (report.loading_percent, report.lost, report.duplicates) == (0, 0, 0)


def test_one_worker_waits_as_pollaczek_and_khinchine_say():
    """M/G/1: the mean wait is λ E[S²] / 2(1 − ρ)."""
    scenario = Scenario(jobs=40_000, interactive=40_000, workers=1, tenants=1, checkpoints=1, load_seconds=0.0, load=0.6)
    ordered, ledger = play(scenario)
    pictures = [wanted for arrival in ordered for wanted in arrival.pictures]
    squares = sum(wanted.seconds**2 for wanted in pictures) / len(pictures)
    rate, busy = len(pictures) / scenario.span, work(ordered) / scenario.span
    waited = sum(ledger.begun[wanted.number] - wanted.at for wanted in pictures) / len(pictures)
    assert waited == pytest.approx(rate * squares / 2 / (1 - busy), rel=0.1)


def test_a_loaded_checkpoint_is_loaded_once_by_each_worker():
    scenario = Scenario(jobs=2000, checkpoints=2, vram=2, load=0.9)
    _, ledger = play(scenario)
    assert ledger.loads <= 2 * scenario.workers


@pytest.mark.parametrize("name", sorted(PEERS))
def test_every_picture_comes_once_also_when_workers_vanish(name):
    scenario = Scenario(jobs=2000, node_loss=20)
    ordered = arrivals(scenario)
    policy = PEERS[name](scenario, ordered)
    ledger = Play(scenario, ordered, losses(scenario), policy).run()
    assert set(ledger.finished) == {wanted.number for arrival in ordered for wanted in arrival.pictures}
    assert ledger.wasted > 0, "nobody vanished in the middle of a picture"
    assert (ledger.again, ledger.refused) == (0, 0)
    assert ledger.drawing == pytest.approx(work(ordered))


def test_people_go_first_with_priorities():
    scenario = Scenario(jobs=2000, checkpoints=1, interactive=0.1)
    plain, first = (play_peer(name, scenario, arrivals(scenario)) for name in ("fifo", "priority-fifo"))
    assert first.waits["interactive"].p99 < 10 < plain.waits["interactive"].p99


def test_a_queue_for_each_checkpoint_hardly_loads():
    scenario = Scenario(jobs=2000, workers=16)
    ordered = arrivals(scenario)
    assert play_peer("queue-per-checkpoint", scenario, ordered).loads < play_peer("fifo", scenario, ordered).loads / 5


def test_workers_are_dealt_out_by_work():
    assert deal_out({"a": 6.0, "b": 2.0}, 4) == [["a"], ["a"], ["a"], ["b"]]
    assert deal_out({"a": 5.0, "b": 3.0}, 4) == [["a"], ["a"], ["a", "b"], ["b"]]
    assert deal_out({"a": 1.0, "b": 1.0, "c": 1.0}, 1) == [["a", "b", "c"]]


def test_a_lease_that_ran_out_is_somebody_elses():
    scenario = Scenario(jobs=1, interactive=0, tenants=1)
    [arrival] = arrivals(scenario)
    for policy in (Fifo(scenario), PriorityFifo(scenario), QueuePerCheckpoint(scenario, [arrival])):
        worker = Play(scenario, [], [], policy)._workers[0]
        policy.arrive(arrival, 0)
        first = policy.take(worker, 0, ahead=False)
        assert policy.take(worker, 0, ahead=False) is None
        policy.tend(scenario.lease + 1)
        again = policy.take(worker, 0, ahead=False)
        assert first is not None
        assert again is not None
        assert (policy.finish(worker, first, 0), policy.finish(worker, again, 0)) == (False, True)


def test_percentiles_are_by_nearest_rank():
    assert [percentile([4, 1, 3, 2], share) for share in (0.25, 0.5, 0.51, 1.0)] == [1, 2, 3, 4]
    assert percentile([], 0.5) == 0
