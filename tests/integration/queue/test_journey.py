"""One order from its row to a stored, labelled, logged picture, by real workers."""

from __future__ import annotations

import time

import pytest

from tests.integration.queue.plant import Plant, until


@pytest.fixture(scope="module")
def plant(build_plant):
    plant = build_plant()
    plant.hire("worker", "gpu")
    plant.hire("worker", "cpu")
    plant.hire("beat")
    return plant


def test_one_order(plant: Plant) -> None:
    job = plant.order()
    t = time.time()
    plant.ring()
    try:
        until(lambda: plant.ended(job), 40, "the job ended")
    finally:
        print("took", time.time() - t)
        for w in plant.hired:
            print(w.log, w.log.read_text()[-3000:])
    print(plant.job(job), plant.actions(job))
    t = time.time()
    job = plant.order()
    plant.ring()
    until(lambda: plant.ended(job), 40, "the job ended")
    print("warm took", time.time() - t)
    plant.books_balance()
