"""LeaseKeeper on a real database, ticked by hand and by its own thread."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from factory.db import Database
from factory.domain.claim import Claim
from factory.domain.status import Phase
from factory.errors import DatabaseDown, LeaseLost
from factory.jobs.claim_job import claim_job
from factory.jobs.lease_keeper import LeaseKeeper
from factory.jobs.requeue_lost_jobs import requeue_lost_jobs
from tests.integration.canceling import cancel_job
from tests.integration.queue.plant import ACTOR, TENANT, Plant, until

LEASE = timedelta(seconds=3)


@pytest.fixture(scope="module")
def plant(build_plant):
    return build_plant()


@pytest.fixture
def keeper(plant: Plant) -> Iterator[LeaseKeeper]:
    keeper = LeaseKeeper(plant.db, LEASE)
    yield keeper
    keeper.close()


def take(plant: Plant) -> Claim:
    plant.order()
    claim = claim_job(plant.db, worker="w", lease=LEASE)
    assert claim is not None
    return claim


def test_a_held_claim_outlives_its_lease(plant: Plant, keeper: LeaseKeeper) -> None:
    claim = take(plant)
    keeper.hold(claim, Phase.FINISHING)
    time.sleep(4.5)
    assert requeue_lost_jobs(plant.db, max_lost_leases=3).requeued == 0
    keeper.require(claim)
    assert plant.job(claim.job_id)["phase"] == "finishing"
    keeper.drop(claim)
    time.sleep(3.5)
    assert requeue_lost_jobs(plant.db, max_lost_leases=3).requeued == 1, "a claim that was dropped was renewed"
    cancel_job(plant.db, tenant=TENANT, job_id=claim.job_id, actor=ACTOR)


def test_a_canceled_claim_is_told_within_a_second(plant: Plant, keeper: LeaseKeeper) -> None:
    claim, other = take(plant), take(plant)
    keeper.hold(claim)
    keeper.hold(other)
    keeper.require(claim)
    cancel_job(plant.db, tenant=TENANT, job_id=claim.job_id, actor=ACTOR)

    def lost() -> bool:
        try:
            keeper.require(claim)
        except LeaseLost:
            return True
        return False

    assert until(lost, 30, "the loss is noticed") < 3, "a tick, and what a busy machine adds"
    keeper.require(other)
    assert keeper.held == [claim, other]
    keeper.drop(claim)
    keeper.require(claim)
    cancel_job(plant.db, tenant=TENANT, job_id=other.job_id, actor=ACTOR)


def test_another_attempt_of_the_same_job_is_a_loss(plant: Plant, keeper: LeaseKeeper) -> None:
    claim = take(plant)
    time.sleep(LEASE.total_seconds() + 0.1)
    requeue_lost_jobs(plant.db, max_lost_leases=3)
    again = claim_job(plant.db, worker="w", lease=LEASE)
    assert again is not None
    assert again.attempt == 2
    keeper.hold(claim)
    keeper.tick()
    with pytest.raises(LeaseLost):
        keeper.require(claim)
    cancel_job(plant.db, tenant=TENANT, job_id=claim.job_id, actor=ACTOR)


def test_while_the_database_is_away_nothing_is_known_to_be_lost(plant: Plant) -> None:
    away = Database("postgresql+psycopg://nobody:x@127.0.0.1:1/none")
    keeper = LeaseKeeper(away, LEASE)
    claim = take(plant)
    keeper.hold(claim)
    with pytest.raises(DatabaseDown):
        keeper.tick()
    time.sleep(1)
    keeper.require(claim)
    assert keeper.held == [claim]
    keeper.close()
    cancel_job(plant.db, tenant=TENANT, job_id=claim.job_id, actor=ACTOR)


def test_that_a_claim_made_ahead_begins_to_be_drawn_is_noted_at_once(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that kills its worker in its first second is blamed for it: it is noted without waiting for a tick."""
    monkeypatch.setattr("factory.jobs.lease_keeper.TICK_SECONDS", 3600.0)
    keeper = LeaseKeeper(plant.db, timedelta(hours=4))
    plant.order()
    claim = claim_job(plant.db, worker="w", lease=timedelta(hours=4), ahead=True)
    assert claim is not None
    keeper.hold(claim, Phase.CLAIMED)
    assert plant.job(claim.job_id)["phase"] == "claimed"
    keeper.tick()
    keeper.hold(claim, Phase.LOADING)
    until(lambda: plant.job(claim.job_id)["phase"] == "loading", 30, "the phase is noted")
    keeper.close()
    cancel_job(plant.db, tenant=TENANT, job_id=claim.job_id, actor=ACTOR)
