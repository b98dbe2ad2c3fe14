"""A worker whose disk lacks the folder of a checkpoint: it leaves the pictures to another one, until the folder is there."""

from __future__ import annotations

import shutil
import time
import uuid

import pytest

from tests.integration.queue.plant import Plant, until


@pytest.fixture(scope="module")
def plant(build_plant):
    return build_plant()


def rung_for(plant: Plant, job: uuid.UUID) -> bool:
    """One message wakes one worker, and it may be the wrong one."""
    plant.ring()
    time.sleep(0.2)
    return plant.ended(job)


def artist(plant: Plant, job: uuid.UUID) -> str:
    [record] = plant.rows("SELECT worker FROM generations WHERE job_id = %s", job)
    return str(record["worker"])


def test_another_worker_draws_it_and_the_folder_is_found_when_it_comes(plant: Plant) -> None:
    shelf = plant.folder / "bare"
    shelf.mkdir()
    plant.hire("worker", "gpu", name="bare", FACTORY_CHECKPOINTS_DIR=str(shelf))
    job = plant.order()
    plant.ring()
    until(lambda: "job.released" in plant.actions(job), 120, "the one without the folder gives it back")
    assert not any(rung_for(plant, job) for _ in range(3))
    stocked = plant.hire("worker", "gpu", name="stocked")
    until(lambda: rung_for(plant, job), 120, "the other one draws it")
    assert artist(plant, job) == "stocked"
    assert plant.actions(job) == ["job.submitted", "job.started", "job.released", "job.started", "job.succeeded"]
    assert plant.job(job)["failures"] == 0

    stocked.stop()
    second = plant.order(seed=8)
    assert not any(rung_for(plant, second) for _ in range(3))
    assert plant.actions(second) == ["job.submitted"], "it was taken, though the worker knew"
    shutil.copytree(plant.folder / "checkpoints" / "cards", shelf / "cards.part")
    (shelf / "cards.part").rename(shelf / "cards")
    until(lambda: rung_for(plant, second), 120, "the folder is found")
    assert artist(plant, second) == "bare"
    plant.books_balance()
