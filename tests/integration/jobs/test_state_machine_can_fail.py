"""The state machine is worth its time only if it finds what is wrong: known bugs, planted one by one, are each found."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from sqlalchemy import Select, insert, select, update
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.audit_event import AuditAction, AuditEvent
from factory.domain.claim import Claim
from factory.domain.job import Job
from factory.domain.status import JobStatus
from factory.domain.status import Phase as DrawingPhase
from tests.integration.jobs.books import Books, Clock
from tests.integration.jobs.machine import JobsMachine, MortalDatabase, run

# Finding is what counts here; the shortest program that shows the bug is for whoever debugs a real one.
SEARCH = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
close_module = importlib.import_module("factory.jobs.close_job")
requeue_module = importlib.import_module("factory.jobs.requeue_lost_jobs")
Plant = Callable[[pytest.MonkeyPatch], type[JobsMachine]]


def close_without_fencing(patch: pytest.MonkeyPatch) -> type[JobsMachine]:
    patch.setattr(close_module, "fence", lambda job_id, *_: [Job.id == job_id])
    _build_anew(patch)
    return JobsMachine


def _build_anew(patch: pytest.MonkeyPatch) -> None:
    """The statement of close_job, of the parts that are planted now and never again."""
    patch.setattr(close_module, "_closing", lru_cache(close_module._closing.__wrapped__))


def renew_for_everybody(_: pytest.MonkeyPatch) -> type[JobsMachine]:
    """A heartbeat that asks for the job and not for the attempt."""

    def renew(db: Database, claims: Mapping[Claim, Any], lease: timedelta) -> set[Claim]:
        claim, phase = next(iter(claims.items()))
        with db.transaction() as session:
            running = update(Job).where(Job.id == claim.job_id, Job.status == JobStatus.RUNNING.value)
            until = running.values(lease_until=db.now() + lease, phase=phase.value).returning(Job.id)
            return {claim} if session.scalar(until) else set()

    return type("RenewsForEverybody", (JobsMachine,), {"renew_leases": staticmethod(renew)})


def close_and_log_afterwards(patch: pytest.MonkeyPatch) -> type[JobsMachine]:
    """The status changes in one transaction, its event is written in the next: right, until the process dies in between."""
    real = close_module.status_statement

    def unlogged(*parts: Any, **how: Any) -> Select[Any]:
        (moved,) = real(*parts, **how).get_final_froms()
        return select(moved)

    def close_then_log(db: Database, claim: Claim, finished: Any) -> None:
        close_module.close_job(db, claim, finished)
        event = {"tenant": claim.tenant, "job_id": claim.job_id, "attempt": claim.attempt, "actor_kind": "worker", "actor": claim.worker}
        change = {"action": AuditAction.JOB_SUCCEEDED.value, "was": "running", "became": "succeeded", "detail": {}}
        with db.transaction() as session:
            session.execute(insert(AuditEvent).values(at=db.now(), **event, **change).inline())

    patch.setattr(close_module, "status_statement", unlogged)
    _build_anew(patch)
    return type("LogsAfterwards", (JobsMachine,), {"close_job": staticmethod(close_then_log)})


def renew_what_was_requeued(patch: pytest.MonkeyPatch) -> type[JobsMachine]:
    """A heartbeat that steals its job back from the queue."""

    def steal(db: Database, claims: Mapping[Claim, Any], lease: timedelta) -> set[Claim]:
        claim = next(iter(claims))
        with db.transaction() as session:
            stolen = update(Job).where(Job.id == claim.job_id, Job.attempt == claim.attempt, Job.status.in_(["queued", "running"]))
            again = stolen.values(status="running", worker=claim.worker, lease_until=db.now() + lease).returning(Job.id)
            return {claim} if session.scalar(again) else set()

    return type("StealsBack", (JobsMachine,), {"renew_leases": staticmethod(steal)})


def forget_when_a_lost_job_waits(patch: pytest.MonkeyPatch) -> type[JobsMachine]:
    """A lost job keeps the worker it avoids and loses the time from which that counts: where that worker is the last one, it waits for ever."""
    real = requeue_module.change_status

    def forgetful(session: Session, picked: Any, to: JobStatus, **how: Any) -> Any:
        if to is JobStatus.QUEUED:
            how["values"] = {**how["values"], "not_before": None}
        return real(session, picked, to, **how)

    patch.setattr(requeue_module, "change_status", forgetful)
    return JobsMachine


def blame_all_that_a_lost_worker_held(patch: pytest.MonkeyPatch) -> type[JobsMachine]:
    patch.setattr(requeue_module, "DRAWING", frozenset(DrawingPhase))
    return JobsMachine


@pytest.fixture
def mortal(books: Books, clock: Clock) -> Iterator[MortalDatabase]:
    database = MortalDatabase(books.app_url, clock=clock)
    yield database
    database.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "plant",
    [
        close_without_fencing,
        renew_for_everybody,
        close_and_log_afterwards,
        renew_what_was_requeued,
        forget_when_a_lost_job_waits,
        blame_all_that_a_lost_worker_held,
    ],
)
def test_the_machine_finds_a_planted_bug_within_a_minute(
    plant: Plant, mortal: MortalDatabase, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = plant(monkeypatch)
    began = time.process_time()  # on a busy machine a minute of the wall tells nothing
    with pytest.raises(AssertionError):
        run(machine, mortal, sql, SEARCH)
    assert time.process_time() - began < 60
