"""claim_job: the best job first, each job to one worker only."""

from __future__ import annotations

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg

from factory.db import Database
from factory.domain.caller import Caller
from factory.errors import OutOfVram
from factory.jobs.claim_job import claim_job
from factory.jobs.close_job import close_job
from factory.jobs.end_attempt import RetryRules, end_attempt
from factory.jobs.requeue_lost_jobs import requeue_lost_jobs
from tests.integration.jobs.books import LEASE, NOON, Clock, chain, count, finished, job_row, submit, submit_rows, take


def test_a_claim_leases_the_job_and_raises_its_attempt(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    job_id = submit(db, caller, sku="K1", seed=9)
    claim = take(db, "w1")
    assert (claim.job_id, claim.attempt, claim.worker, claim.tenant, claim.sku) == (job_id, 1, "w1", caller.tenant, "K1")
    assert (claim.spec.seed, claim.seq, claim.day, claim.created_at) == (9, 1, NOON.date(), NOON)
    row = job_row(sql, job_id)
    assert (row["status"], row["worker"], row["lease_until"], row["phase"], row["started_at"]) == (
        "running",
        "w1",
        NOON + LEASE,
        "generating",
        NOON,
    )
    assert chain(sql, job_id)[1:] == [("job.started", "queued", "running", 1)]


def test_an_empty_queue_gives_nothing(db: Database, caller: Caller) -> None:
    assert claim_job(db, worker="w1", lease=LEASE, resident=("default",)) is None


def test_the_four_lists_in_their_order(db: Database, clock: Clock, caller: Caller) -> None:
    names: dict[uuid.UUID, str] = {}
    for lane, model in (("bulk", "other"), ("bulk", "default"), ("interactive", "other"), ("interactive", "default")):
        for age in ("old", "young"):
            names[submit(db, caller, priority=lane, model=model)] = f"{lane} {model} {age}"
            clock.advance(1)
    order = [names[take(db, resident=("default",)).job_id] for _ in range(8)]
    assert order == [
        f"{lane} {model} {age}" for lane in ("interactive", "bulk") for model in ("default", "other") for age in ("old", "young")
    ]


def test_a_worker_that_holds_nothing_takes_the_oldest_of_the_lane(db: Database, clock: Clock, caller: Caller) -> None:
    first = submit(db, caller, model="other")
    clock.advance(1)
    second = submit(db, caller, model="default")
    assert [take(db).job_id, take(db).job_id] == [first, second]


def test_rows_of_a_batch_come_in_their_order(db: Database, caller: Caller) -> None:
    submit_rows(db, caller, [{"sku": f"S{n}"} for n in range(20)])
    assert [take(db).sku for _ in range(20)] == [f"S{n}" for n in range(20)]


def test_eight_workers_never_take_the_same_job(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [{"model": ("default", "other")[n % 2]} for n in range(200)])

    def work(worker: str) -> list[uuid.UUID]:
        mine = []
        while claim := claim_job(db, worker=worker, lease=LEASE, resident=("default",)):
            mine.append(claim.job_id)
            close_job(db, claim, finished(claim))
        return mine

    with ThreadPoolExecutor(8) as pool:
        taken = Counter(job_id for mine in pool.map(work, [f"w{n}" for n in range(8)]) for job_id in mine)
    assert len(taken) == 200
    assert set(taken.values()) == {1}
    assert sql.execute("SELECT status, attempt, count(*) FROM jobs GROUP BY 1, 2").fetchall() == [("succeeded", 1, 200)]
    assert (count(sql, "assets"), count(sql, "generations")) == (200, 200)


def test_a_job_waits_until_its_backoff_is_over(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    job_id = submit(db, caller)
    sql.execute("UPDATE jobs SET not_before = %s", (NOON.replace(second=5),))
    assert claim_job(db, worker="w1", lease=LEASE) is None
    clock.advance(5)
    assert take(db).job_id == job_id


def test_an_order_past_its_end_is_not_begun(db: Database, clock: Clock, caller: Caller) -> None:
    submit(db, caller, expires_in=60)
    clock.advance(60)
    assert claim_job(db, worker="w1", lease=LEASE) is None


def test_a_worker_that_could_not_hold_a_job_leaves_it_to_others_for_a_minute(db: Database, clock: Clock, caller: Caller) -> None:
    for taker in ("w2", "w1"):
        job_id = submit(db, caller)
        end_attempt(db, take(db, "w1"), OutOfVram(), RetryRules())
        clock.advance(10)
        assert claim_job(db, worker="w1", lease=LEASE) is None
        if taker == "w1":
            clock.advance(60)
        assert take(db, taker).job_id == job_id


def test_the_last_worker_gets_a_job_that_it_once_could_not_hold(db: Database, clock: Clock, caller: Caller) -> None:
    """w1 lacked memory, w2 took over and vanished: w1, alone now, must not be kept from the job for ever."""
    job_id = submit(db, caller)
    end_attempt(db, take(db, "w1"), OutOfVram(), RetryRules())
    clock.advance(10)
    take(db, "w2")
    clock.advance(61)
    assert requeue_lost_jobs(db, max_lost_leases=3).requeued == 1
    clock.advance(61)
    assert take(db, "w1").job_id == job_id


def test_a_spec_that_cannot_be_read_fails_and_blocks_nobody(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    unreadable, next_one = submit(db, caller), submit(db, caller)
    sql.execute("UPDATE jobs SET spec = spec - 'seed' WHERE id = %s", (unreadable,))
    assert take(db).job_id == next_one
    assert (job_row(sql, unreadable)["status"], job_row(sql, unreadable)["error"]["code"]) == ("failed", "permanent")
    assert chain(sql, unreadable)[1:] == [("job.started", "queued", "running", 1), ("job.failed", "running", "failed", 1)]


def test_a_thousand_specs_that_cannot_be_read_are_failed_by_one_claim(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [{} for _ in range(1000)])
    sql.execute("UPDATE jobs SET spec = spec - 'seed'")
    assert claim_job(db, worker="w1", lease=LEASE) is None
    assert sql.execute("SELECT DISTINCT status FROM jobs").fetchall() == [("failed",)]
