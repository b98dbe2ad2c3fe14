"""sweep_objects deletes what no asset names, and nothing that may still be closed."""

from __future__ import annotations

import hashlib
import os
import time
from datetime import timedelta

import pytest

from factory.bootstrap import build_storage
from factory.domain.claim import Claim
from factory.errors import StorageDown
from factory.jobs.claim_job import claim_job
from factory.jobs.close_job import Finished, close_job
from factory.jobs.end_attempt import release_job
from factory.jobs.sweep_objects import OWNERS, sweep_objects
from factory.settings import load_settings
from factory.storage.naming import object_key
from tests.integration.canceling import cancel_job
from tests.integration.queue.plant import ACTOR, TENANT, Plant
from tests.integration.statements import texts_sent

NOW = timedelta(0)


@pytest.fixture
def plant(build_plant):
    return build_plant()


def store(plant: Plant) -> Claim:
    """A running job whose object is stored already."""
    plant.order()
    return store_next(plant)


def store_next(plant: Plant) -> Claim:
    claim = claim_job(plant.db, worker="w", lease=timedelta(minutes=1))
    assert claim is not None
    put(plant, key_of(claim, claim.attempt))
    return claim


def key_of(claim: Claim, attempt: int = 1) -> str:
    return object_key(claim.tenant, claim.project, claim.day, claim.seq, attempt)


def put(plant: Plant, key: str) -> None:
    content = key.encode()
    sha256 = hashlib.sha256(content).hexdigest()
    build_storage(plant.settings).put(key, content, media_type="image/png", sha256=sha256, filename="x.png")


def finished(claim: Claim) -> Finished:
    key = key_of(claim, claim.attempt)
    sha256 = hashlib.sha256(key.encode()).hexdigest()
    return Finished(key, "x.png", "image/png", len(key), sha256, 128, 128, 8, {}, {}, "test")


def keys(plant: Plant) -> set[str]:
    return {item.key for item in build_storage(plant.settings).list() if not item.key.startswith(OWNERS)}


def orphan(plant: Plant) -> str:
    """The object of a job that was canceled."""
    claim = store(plant)
    cancel_job(plant.db, tenant=TENANT, job_id=claim.job_id, actor=ACTOR)
    return key_of(claim)


def test_only_orphans_go(plant: Plant) -> None:
    given_up = store(plant)
    release_job(plant.db, given_up)
    closed, running = store_next(plant), store(plant)
    close_job(plant.db, closed, finished(closed))
    orphan(plant)
    time.sleep(0.05)
    assert sweep_objects(plant.db, build_storage(plant.settings), older_than=NOW) == 2
    assert keys(plant) == {key_of(running), key_of(closed, 2)}
    close_job(plant.db, running, finished(running))
    assert sweep_objects(plant.db, build_storage(plant.settings), older_than=NOW) == 0


def test_young_orphans_stay(plant: Plant) -> None:
    young, old = orphan(plant), orphan(plant)
    hour_ago = time.time() - 3600
    os.utime(plant.pictures / old, (hour_ago, hour_ago))
    assert sweep_objects(plant.db, build_storage(plant.settings), older_than=timedelta(minutes=30)) == 1
    assert keys(plant) == {young}


def test_what_is_no_file_of_our_jobs_stays(plant: Plant) -> None:
    """Somebody's logo, another tenant's picture, a number that was never given, an attempt that never was."""
    claim = store(plant)
    cancel_job(plant.db, tenant=TENANT, job_id=claim.job_id, actor=ACTOR)
    day, project = claim.day, claim.project
    strangers = {
        "backups/2019.tar",
        "acme/default/logo.png",
        object_key("somebody", project, day, claim.seq, 1),
        object_key(TENANT, project, day, claim.seq + 99, 1),
        object_key(TENANT, project, day, 10**12, 1),
        key_of(claim, 2),
    }
    for key in strangers:
        put(plant, key)
    time.sleep(0.05)
    assert sweep_objects(plant.db, build_storage(plant.settings), older_than=NOW) == 1
    assert keys(plant) == strangers


def test_more_files_are_no_other_statements(plant: Plant) -> None:
    storage, sent = build_storage(plant.settings), []
    for more in (0, 1, 4):
        for _ in range(more):
            orphan(plant)
        time.sleep(0.05)
        with texts_sent(plant.db) as texts:
            assert sweep_objects(plant.db, storage, older_than=NOW) == more
        sent.append(texts)
    assert sent[0] == sent[1] == sent[2]


def test_two_factories_on_one_storage_never_delete_each_others_files(build_plant, plant: Plant) -> None:
    """Both have a tenant acme, a project and a day of one name, so that each one's numbers are the other's too."""
    other = build_plant(FACTORY_STORAGE_URL=plant.pictures.as_uri())
    mine = orphan(plant)
    time.sleep(0.05)
    storage = build_storage(plant.settings)
    assert sweep_objects(other.db, storage, older_than=timedelta(days=1)) == 0
    assert sweep_objects(plant.db, storage, older_than=NOW) == 0
    assert sweep_objects(other.db, storage, older_than=NOW) == 0
    assert keys(plant) == {mine}
    name = str(other.db.engine.url.database).encode()
    storage.delete(next(item.key for item in storage.list(OWNERS) if name in storage.get(item.key)))
    assert sweep_objects(plant.db, storage, older_than=NOW) == 1, "the other one is gone and its mark with it"


def test_yesterdays_answers_are_forgotten_also_when_the_sweep_fails(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> int:
        raise StorageDown

    for name, value in plant.env.items():
        monkeypatch.setenv(name, value)
    load_settings.cache_clear()
    from factory.tasks import upkeep  # reads the environment

    load_settings.cache_clear()
    monkeypatch.setattr(upkeep, "database", lambda: plant.db)
    monkeypatch.setattr(upkeep, "load_settings", lambda: plant.settings)
    monkeypatch.setattr(upkeep, "sweep_objects", broken)
    plant.sql.execute(
        "INSERT INTO idempotency_keys (tenant, key, request_sha256, status_code, body, created_at)"
        " VALUES ('acme', 'old', '', 202, '{}', now() - interval '2 days')"
    )
    with pytest.raises(StorageDown):
        upkeep.sweep()
    assert plant.rows("SELECT key FROM idempotency_keys") == []


def test_a_job_that_closes_while_the_sweep_runs_keeps_its_object(plant: Plant) -> None:
    """It was claimed after the sweep began, and closes between the listing and the look at the assets."""
    storage = build_storage(plant.settings)
    listing = storage.list
    claims: list[Claim] = []

    def list_and_work(prefix: str = ""):
        if prefix == OWNERS:
            return listing(prefix)
        return work_meanwhile()

    def work_meanwhile():
        claims.append(store(plant))
        claims.append(store(plant))
        time.sleep(0.01)
        yield from listing()
        close_job(plant.db, claims[0], finished(claims[0]))

    storage.list = list_and_work  # type: ignore[method-assign]
    assert sweep_objects(plant.db, storage, older_than=timedelta(seconds=-1)) == 0
    assert keys(plant) == {key_of(claim) for claim in claims}
