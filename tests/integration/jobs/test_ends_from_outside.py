"""cancel_job, cancel_batch and expire_jobs: a job ends though no worker ended it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.errors import LeaseLost
from factory.jobs.cancel import CancelReceipt
from factory.jobs.close_job import close_job
from factory.jobs.expire_jobs import expire_jobs
from tests.integration.canceling import cancel_batch, cancel_job
from tests.integration.jobs.books import Clock, chain, count, finished, job_row, submit, submit_rows, take

ACTOR = Actor("key", "fk_testkey")


def test_a_waiting_job_is_canceled_once(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    job_id = submit(db, caller)
    assert cancel_job(db, tenant=caller.tenant, job_id=job_id, actor=ACTOR) == CancelReceipt(1, 0)
    assert cancel_job(db, tenant=caller.tenant, job_id=job_id, actor=ACTOR) == CancelReceipt(0, 0)
    assert chain(sql, job_id)[1:] == [("job.canceled", "queued", "canceled", 0)]


def test_a_running_job_is_canceled_with_what_it_has_cost(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    job_id = submit(db, caller)
    take(db)
    clock.advance(2.5)
    assert cancel_job(db, tenant=caller.tenant, job_id=job_id, actor=ACTOR) == CancelReceipt(1, 2.5)
    row = job_row(sql, job_id)
    assert (row["status"], row["worker"], row["lease_until"]) == ("canceled", None, None)


def test_a_finished_job_stays_finished(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    job_id = submit(db, caller)
    claim = take(db)
    close_job(db, claim, finished(claim))
    assert cancel_job(db, tenant=caller.tenant, job_id=job_id, actor=ACTOR).canceled == 0
    assert job_row(sql, job_id)["status"] == "succeeded"


def test_nobody_cancels_for_another_tenant(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    job_id = submit(db, caller)
    assert cancel_job(db, tenant="neighbour", job_id=job_id, actor=ACTOR).canceled == 0
    assert job_row(sql, job_id)["status"] == "queued"


def test_a_batch_is_canceled_whole_and_logged_once(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}] * 5)
    claim = take(db)
    close_job(db, claim, finished(claim))
    take(db)
    assert cancel_batch(db, tenant=caller.tenant, batch_id=batch_id, actor=ACTOR).canceled == 4
    assert cancel_batch(db, tenant=caller.tenant, batch_id=batch_id, actor=ACTOR).canceled == 0
    assert sql.execute("SELECT status, count(*) FROM jobs GROUP BY 1 ORDER BY 1").fetchall() == [("canceled", 4), ("succeeded", 1)]
    assert sql.execute("SELECT detail FROM audit_events WHERE action = 'batch.canceled'").fetchall() == [({"jobs": 4},)]


def test_cancel_and_close_at_the_same_moment_have_one_winner(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    wins = []
    for _ in range(20):
        job_id = submit(db, caller)
        claim, start = take(db), threading.Barrier(2)

        def close(claim=claim, start=start) -> int:
            start.wait()
            try:
                close_job(db, claim, finished(claim))
            except LeaseLost:
                return 0
            return 1

        def cancel(job_id=job_id, start=start) -> int:
            start.wait()
            return cancel_job(db, tenant=caller.tenant, job_id=job_id, actor=ACTOR).canceled

        with ThreadPoolExecutor(2) as pool:
            wins.append(sum(done.result() for done in (pool.submit(close), pool.submit(cancel))))
    assert wins == [1] * 20
    assert count(sql, "assets") == count(sql, "jobs WHERE status = 'succeeded'")


def test_what_nobody_drew_in_time_expires(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    running = submit(db, caller, expires_in=60)
    take(db)
    waiting, patient = submit(db, caller, expires_in=60), submit(db, caller)
    clock.advance(59)
    assert expire_jobs(db) == 0
    clock.advance(1)
    assert (expire_jobs(db), expire_jobs(db)) == (1, 0)
    assert [job_row(sql, job_id)["status"] for job_id in (running, waiting, patient)] == ["running", "expired", "queued"]
    assert chain(sql, waiting)[1:] == [("job.expired", "queued", "expired", 0)]
