"""sweep_objects deletes what no asset names, and nothing that may still be closed."""

from __future__ import annotations

import hashlib
import os
import time
from datetime import timedelta

import pytest

from factory.bootstrap import build_storage
from factory.domain.claim import Claim
from factory.jobs.claim_job import claim_job
from factory.jobs.close_job import Finished, close_job
from factory.jobs.sweep_objects import sweep_objects
from factory.storage.naming import object_key
from tests.integration.canceling import cancel_job
from tests.integration.queue.plant import ACTOR, TENANT, Plant

NOW = timedelta(0)


@pytest.fixture
def plant(build_plant):
    return build_plant()


def store(plant: Plant, *, attempt: int = 0) -> Claim:
    """A running job whose object is stored already."""
    plant.order()
    claim = claim_job(plant.db, worker="w", lease=timedelta(minutes=1))
    assert claim is not None
    put(plant, key_of(claim, attempt or claim.attempt))
    return claim


def key_of(claim: Claim, attempt: int = 1) -> str:
    return object_key(claim.tenant, claim.project, claim.day, claim.seq, attempt)


def put(plant: Plant, key: str) -> None:
    content = key.encode()
    sha256 = hashlib.sha256(content).hexdigest()
    build_storage(plant.settings).put(key, content, media_type="image/png", sha256=sha256, filename="x.png")


def finished(claim: Claim) -> Finished:
    key = key_of(claim)
    sha256 = hashlib.sha256(key.encode()).hexdigest()
    return Finished(key, "x.png", "image/png", len(key), sha256, 128, 128, 8, {}, {}, "test")


def keys(plant: Plant) -> set[str]:
    return {item.key for item in build_storage(plant.settings).list()}


def test_only_orphans_go(plant: Plant) -> None:
    running, closed, canceled = store(plant), store(plant), store(plant)
    close_job(plant.db, closed, finished(closed))
    cancel_job(plant.db, tenant=TENANT, job_id=canceled.job_id, actor=ACTOR)
    late = key_of(closed, 2)
    put(plant, late)
    put(plant, "acme/default/stranger.png")
    time.sleep(0.05)
    assert sweep_objects(plant.db, build_storage(plant.settings), older_than=NOW) == 3
    assert keys(plant) == {key_of(running), key_of(closed)}
    close_job(plant.db, running, finished(running))
    assert sweep_objects(plant.db, build_storage(plant.settings), older_than=NOW) == 0


def test_young_orphans_stay(plant: Plant) -> None:
    put(plant, "acme/default/young.png")
    put(plant, "acme/default/old.png")
    hour_ago = time.time() - 3600
    os.utime(plant.pictures / "acme/default/old.png", (hour_ago, hour_ago))
    assert sweep_objects(plant.db, build_storage(plant.settings), older_than=timedelta(minutes=30)) == 1
    assert keys(plant) == {"acme/default/young.png"}


def test_a_job_that_closes_while_the_sweep_runs_keeps_its_object(plant: Plant) -> None:
    """It was claimed after the sweep began, and closes between the listing and the look at the assets."""
    storage = build_storage(plant.settings)
    listing = storage.list
    claims: list[Claim] = []

    def list_and_work(prefix: str = ""):
        claims.append(store(plant))
        claims.append(store(plant))
        time.sleep(0.01)
        yield from listing(prefix)
        close_job(plant.db, claims[0], finished(claims[0]))

    storage.list = list_and_work  # type: ignore[method-assign]
    assert sweep_objects(plant.db, storage, older_than=timedelta(seconds=-1)) == 0
    assert keys(plant) == {key_of(claim) for claim in claims}
