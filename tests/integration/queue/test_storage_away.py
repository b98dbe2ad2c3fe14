"""A storage that takes nothing for a while: pictures wait on disk up to a bound, then nothing more is claimed; nothing is lost or doubled."""

from __future__ import annotations

import os
import signal
import time

import pytest

from factory.domain.status import Lane
from factory.jobs.lanes import pause_lane, resume_lane
from factory.storage.naming import object_key
from tests.integration.queue.plant import ACTOR, Plant, until

SPOOL, ROWS = 3, 30
# In the finishing line: its places, the one being drawn, the one claimed ahead.
IN_FLIGHT = 4 + 2 + 2


@pytest.fixture(scope="module")
def plant(build_plant):
    plant = build_plant(FACTORY_SPOOL_PICTURES=str(SPOOL), FACTORY_SIMULATED_SECONDS="0.05", FACTORY_SHIFT_SECONDS="4")
    plant.hire("worker", "gpu")
    plant.hire("worker", "cpu")
    plant.hire("beat")
    return plant


def take_away(plant: Plant) -> None:
    """A file where the folder was: a disk that is not mounted, also for root."""
    plant.pictures.rename(plant.folder / "away")
    plant.pictures.write_text("")


def bring_back(plant: Plant) -> None:
    plant.pictures.unlink()
    (plant.folder / "away").rename(plant.pictures)


def spooled(plant: Plant) -> int:
    return len(list((plant.folder / "data" / "spool").rglob("*.spooled")))


def steady(plant: Plant) -> int:
    """How many run once that has not changed for three seconds: then all places are taken."""
    seen, since = -1, time.monotonic()
    ends = since + 30
    while time.monotonic() - since < 3:
        assert time.monotonic() < ends, "claims go on although nothing can be stored"
        if (running := plant.statuses().get("running", 0)) != seen:
            seen, since = running, time.monotonic()
        time.sleep(0.1)
    return seen


def test_ten_seconds_without_storage(plant: Plant) -> None:
    first = plant.order()
    plant.ring()
    until(lambda: plant.ended(first), 120, "the worker is warm")
    take_away(plant)
    try:
        plant.order_batch({"sku": f"S-{n}"} for n in range(ROWS))
        plant.ring()
        until(lambda: spooled(plant) == SPOOL, 60, "the spool fills to its bound")
        held = steady(plant)
        assert held <= SPOOL + IN_FLIGHT
        time.sleep(6)  # two shifts and two leases later
        assert plant.statuses()["running"] == held, "claims went on although nothing can be stored"
        assert spooled(plant) == SPOOL
        assert not plant.rows("SELECT 1 FROM jobs WHERE lost_leases > 0 OR failures > 0"), "waiting is no failure"
    finally:
        bring_back(plant)
    until(plant.idle, 90, "all are stored")
    assert plant.statuses() == {"succeeded": ROWS + 1}
    assert not plant.rows("SELECT 1 FROM jobs WHERE attempt > 1"), "no picture was drawn twice"
    assert spooled(plant) == 0
    plant.books_balance()
    assert len(list(plant.pictures.rglob("*.png"))) == ROWS + 1


def test_a_picture_that_the_spool_lost_is_drawn_again(plant: Plant) -> None:
    take_away(plant)
    try:
        job = plant.order()
        plant.ring()
        until(lambda: spooled(plant) == 1, 60, "it waits on disk")
        for file in (plant.folder / "data" / "spool").rglob("*.spooled"):
            file.unlink()
        until(lambda: plant.job(job)["attempt"] > 1 or plant.job(job)["status"] == "queued", 60, "it is given up")
    finally:
        bring_back(plant)
    until(lambda: plant.ended(job), 90, "it is drawn again")
    assert plant.job(job)["status"] == "succeeded"
    plant.books_balance()


@pytest.mark.drill
def test_sigterm_without_storage_gives_everything_back(plant: Plant) -> None:
    first = plant.order()
    plant.ring()
    until(lambda: plant.ended(first), 120, "the worker is warm")
    take_away(plant)
    try:
        plant.order_batch({"sku": f"E-{n}"} for n in range(ROWS))
        plant.ring()
        until(lambda: spooled(plant) == SPOOL, 60, "the spool is full")
        [worker] = [each for each in plant.hired if each.log.name == "worker-gpu.log"]
        os.kill(worker.pid, signal.SIGTERM)
        began = time.monotonic()
        assert worker.wait(30) == 0
        assert time.monotonic() - began < 25
        assert "running" not in plant.statuses()
    finally:
        bring_back(plant)
    plant.hire("worker", "gpu", name="next")
    until(plant.idle, 40, "another worker draws them")
    assert set(plant.statuses()) == {"succeeded"}
    plant.books_balance()


def test_a_file_of_an_earlier_database_under_the_same_name_costs_one_attempt_at_once(plant: Plant) -> None:
    pause_lane(plant.db, lane=Lane.INTERACTIVE, actor=ACTOR)  # nobody draws it before the file is there
    first = plant.job(plant.order())
    ours = object_key(first["tenant"], first["project"], first["day"], first["seq"], 1)
    (plant.pictures / ours).parent.mkdir(parents=True, exist_ok=True)
    (plant.pictures / ours).write_bytes(b"sold last year")
    resume_lane(plant.db, lane=Lane.INTERACTIVE, actor=ACTOR)
    plant.ring()
    until(lambda: plant.ended(first["id"]), 90, "the second attempt has a name of its own")
    assert (plant.job(first["id"])["status"], plant.job(first["id"])["attempt"]) == ("succeeded", 2)
    assert plant.actions(first["id"]) == ["job.submitted", "job.started", "job.retried", "job.started", "job.succeeded"]
    assert (plant.pictures / ours).read_bytes() == b"sold last year"
