"""Whatever ends in the middle of a picture: the order, the child, the worker. Each picture takes a second and a half."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

from factory.embedded.guarded import Guarded
from factory.jobs.replay_dead_letters import replay_dead_letters
from tests.integration.canceling import cancel_job
from tests.integration.queue.plant import ACTOR, TENANT, Plant, child_of, kill_child, until


@pytest.fixture(scope="module")
def plant(build_plant):
    plant = build_plant(FACTORY_SIMULATED_SECONDS="1.5", FACTORY_MAX_LOST_LEASES="3", FACTORY_LEASE_SECONDS="3")
    plant.hire("worker", "cpu")
    plant.hire("beat")
    return plant


@pytest.fixture(scope="module")
def workers() -> list[Guarded]:
    return []


@pytest.fixture
def worker(plant: Plant, workers: list[Guarded]) -> Guarded:
    """A GPU worker that lives; the next test goes on with it unless this one killed it."""
    if not workers or not workers[-1].alive():
        workers.append(plant.hire("worker", "gpu", name=f"gpu-{len(workers)}"))
    return workers[-1]


def drawing(plant: Plant, job) -> None:
    until(lambda: plant.job(job)["status"] == "running", 120, "somebody draws it")


def test_a_canceled_picture_stops_and_leaves_no_asset(plant: Plant) -> None:
    """A picture of eight seconds: its shift is over long before that."""
    worker = plant.hire("worker", "gpu", name="slow", FACTORY_SIMULATED_SECONDS="8", FACTORY_LEASE_SECONDS="60")
    until(lambda: "checkpoint_loaded" in worker.log.read_text(), 120, "it starts")
    inspect = plant.celery().control.inspect(destination=["gpu@slow"], timeout=10)
    job = plant.order()
    plant.ring()
    drawing(plant, job)
    time.sleep(0.5)
    assert inspect.active()["gpu@slow"], "it draws"
    assert cancel_job(plant.db, tenant=TENANT, job_id=job, actor=ACTOR).canceled == 1
    took = until(lambda: inspect.active() == {"gpu@slow": []}, 30, "the shift ends")
    assert took < 6, "a tick of a second, a step of a second, and what asking takes"
    assert plant.actions(job) == ["job.submitted", "job.started", "job.canceled"]
    assert not plant.rows("SELECT 1 FROM assets WHERE job_id = %s", job)
    assert not list(plant.pictures.rglob("*.png"))
    worker.stop()


def test_a_killed_child_is_replaced_and_its_job_is_drawn_again(plant: Plant, worker: Guarded) -> None:
    job = plant.order()
    plant.ring()
    drawing(plant, job)
    parent, child = worker.pid, kill_child(worker)
    until(lambda: plant.ended(job), 120, "it is drawn again")
    assert plant.job(job)["status"] == "succeeded"
    assert plant.actions(job) == ["job.submitted", "job.started", "job.requeued", "job.started", "job.succeeded"]
    assert worker.alive()
    assert worker.pid == parent
    assert child_of(worker).pid != child
    plant.books_balance()


def test_only_the_picture_that_was_drawn_is_blamed_for_a_killed_child(plant: Plant, worker: Guarded) -> None:
    """The third is drawn when the child dies: claimed ahead a picture ago. Before it one is finished, behind it one is claimed."""
    jobs = [plant.order() for _ in range(4)]
    plant.ring()

    def phases() -> list[str | None]:
        return [plant.job(job)["phase"] for job in jobs]

    until(lambda: plant.ended(jobs[1]) and phases()[2:] == ["generating", "claimed"], 120, "the third is drawn")
    kill_child(worker)
    until(lambda: all(plant.ended(job) for job in jobs), 120, "all are drawn")
    assert [(plant.job(job)["attempt"], plant.job(job)["lost_leases"]) for job in jobs] == [(1, 0), (1, 0), (2, 1), (2, 0)]


def test_sigterm_ends_a_shift_early_and_gives_back_what_was_claimed(plant: Plant, worker: Guarded) -> None:
    batch = plant.order_batch({"sku": f"T-{n}"} for n in range(20))
    plant.ring()
    until(
        lambda: plant.rows("SELECT count(*) AS n FROM jobs WHERE batch_id = %s AND status = 'running'", batch)[0]["n"] >= 2,
        120,
        "a claim ahead",
    )
    before = plant.statuses().get("succeeded", 0)
    os.kill(worker.pid, signal.SIGTERM)
    worker.wait(60)
    assert plant.statuses()["succeeded"] - before <= 5, "it drew on instead of ending its shift"
    by_status = plant.statuses()
    assert "running" not in by_status, "a stopped worker holds nothing"
    released = plant.rows("SELECT count(*) AS n FROM audit_events WHERE batch_id = %s AND action = 'job.released'", batch)
    assert released[0]["n"] == 1
    assert not list((plant.folder / "data").glob("stopping-*"))
    assert plant.rows("SELECT count(*) AS n FROM jobs WHERE batch_id = %s AND lost_leases > 0", batch)[0]["n"] == 0
    plant.sql.execute("UPDATE jobs SET not_before = now() + interval '1 hour' WHERE status = 'queued'")


@pytest.mark.drill
def test_a_killed_worker_leaves_no_child_and_no_gap(plant: Plant, worker: Guarded) -> None:
    job = plant.order()
    plant.ring()
    drawing(plant, job)
    child = child_of(worker)
    worker.kill()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 5, "its child dies too")
    successor = plant.hire("worker", "gpu", name="gpu-successor")
    until(lambda: plant.ended(job), 40, "another worker draws it")
    successor.stop()
    assert plant.job(job)["status"] == "succeeded"
    assert plant.job(job)["lost_leases"] == 1
    plant.books_balance()


@pytest.mark.drill
def test_poison_becomes_a_dead_letter_and_can_be_replayed(plant: Plant) -> None:
    successor = plant.hire("worker", "gpu", name="gpu-poisoned")
    job = plant.order()
    plant.ring()
    for attempt in (1, 2, 3):
        until(lambda: plant.job(job)["status"] == "running", 30, "it is tried again")
        assert plant.job(job)["attempt"] == attempt
        kill_child(successor)
        until(lambda: plant.job(job)["status"] != "running", 20, "upkeep takes it back")
    row = plant.job(job)
    assert (row["status"], row["error"]["code"], row["lost_leases"]) == ("failed", "worker_lost", 3)
    assert row["dead_lettered_at"]
    assert plant.actions(job)[-1] == "job.dead_lettered"
    assert replay_dead_letters(plant.db, actor=ACTOR, job_id=job) == 1
    until(lambda: plant.ended(job), 30, "the replay is drawn")
    assert plant.job(job)["status"] == "succeeded"
    assert plant.job(job)["attempt"] == 4
    plant.books_balance()
