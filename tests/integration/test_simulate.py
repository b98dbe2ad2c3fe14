"""Production's claims under the fake clock, on a real Postgres: small scenarios, and what must come out of them."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from factory.cli import app
from factory.simulate.arrivals import arrivals, losses
from factory.simulate.ground import BEGIN, Ground
from factory.simulate.play import Play
from factory.simulate.production import Production
from factory.simulate.scenario import Scenario
from factory.simulate.simulate import only, play_ours, play_peer

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    with Ground(tmp_path_factory.mktemp("simulate")) as made:
        yield made


def work(ordered):
    return sum(wanted.seconds for arrival in ordered for wanted in arrival.pictures)


def test_one_checkpoint_and_no_lora_means_busy_is_the_offered_load_exactly(ground):
    scenario = Scenario(jobs=150, workers=4, checkpoints=1, load_seconds=0.0)
    ordered = arrivals(scenario)
    report = play_ours(ground, scenario, ordered)
    assert (report.lost, report.duplicates) == (0, 0)
    assert report.busy_percent == pytest.approx(100 * work(ordered) / scenario.workers / report.seconds, abs=0.15)
    assert report.loading_percent == 0


def test_a_backlog_is_drawn_with_fewer_loads_than_in_order(ground):
    scenario = Scenario(jobs=1000, workers=4, loras=3)
    ordered = arrivals(scenario)
    ours, fifo = play_ours(ground, scenario, ordered), play_peer("fifo", scenario, ordered)
    assert (ours.lost, ours.duplicates) == (0, 0)
    assert ours.loads < fifo.loads / 2
    assert ours.interactive_p99 < fifo.interactive_p99 / 2
    assert ours.ninety < fifo.ninety


def test_workers_that_vanish_lose_and_double_nothing(ground):
    """What a vanished worker held waits for its lease to end; what it closes late is refused."""
    scenario = Scenario(jobs=150, workers=4, node_loss=60, load=0.8)
    ordered = arrivals(scenario)
    with ground.books(scenario) as books:
        policy = Production(scenario, books)
        ledger = Play(scenario, ordered, losses(scenario), policy).run()
        kept = policy.kept()
    assert ledger.wasted > 0, "nobody vanished in the middle of a picture"
    assert (kept.delivered, kept.doubled, ledger.again) == (sum(len(arrival.pictures) for arrival in ordered), 0, 0)


def test_a_small_tenant_hardly_feels_a_large_one(ground):
    scenario = Scenario(jobs=600, workers=4, tenants=2, skew=30, checkpoints=1)
    ordered = arrivals(scenario)
    small = scenario.small_tenant
    assert small is not None
    beside, alone = play_ours(ground, scenario, ordered), play_ours(ground, scenario, only(small, ordered))
    in_order = play_peer("fifo", scenario, ordered)
    assert beside.tenants[small].p95 <= alone.tenants[small].p95 + 3 * scenario.image_seconds + scenario.load_seconds
    assert beside.tenants[small].p95 < in_order.tenants[small].p95


def test_each_run_has_books_of_its_own_and_the_clock_that_it_sets(ground):
    scenario = Scenario(jobs=0, bulk=3, interactive=0)
    [arrival] = arrivals(scenario)
    for _ in range(2):
        with ground.books(scenario) as books:
            Production(scenario, books).arrive(arrival, 90.0)
            with books.db.transaction() as session:
                from factory.domain.job import Job

                created = [job.created_at for job in session.query(Job)]
            assert [(moment - BEGIN).total_seconds() for moment in created] == [90.0] * 3


def test_the_command_answers_the_questions_of_operators():
    words = ["simulate", "--bulk", "120", "--interactive", "1", "--workers", "4", "--tenants", "2", "--json"]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 0, answer.output
    seen = json.loads(answer.stdout)
    assert (seen["jobs"], seen["lost"], seen["duplicates"]) == (121, 0, 0)
    assert seen["interactive_wait_s"] < 2 * seen["image_s"]
    assert {goal["name"] for goal in seen["goals"]} >= {"pictures lost", "pictures doubled"}


def test_the_command_compares_and_shows():
    """A goal that is missed is shown, and the command has done its work all the same."""
    words = ["simulate", "--jobs", "75", "--workers", "4", "--load-seconds", "60", "--against-all", "--deadlines"]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 0, answer.output
    for word in ("ours", "fifo", "priority-fifo", "queue-per-checkpoint", "loads per 1000 pictures", "promises kept", "MISSED"):
        assert word in answer.output


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["--policy", "magic"], "choose from ours, fifo, priority-fifo, queue-per-checkpoint"),
        (["--skew", "much"], "as 30:1"),
        (["--skew", "1:30"], "as 30:1"),
        (["--jobs", "0", "--interactive", "0"], "give --jobs, --bulk or --interactive"),
        (["--jobs", "0", "--interactive", "5"], "--hours"),
    ],
)
def test_what_cannot_be_simulated_is_said_in_a_line(words, remedy):
    answer = CliRunner().invoke(app, ["simulate", *words])
    assert answer.exit_code == 2
    assert remedy in answer.stderr
