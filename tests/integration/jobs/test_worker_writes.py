"""What a worker writes about its claim: only the attempt that holds the job may, and all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.domain.claim import Claim
from factory.domain.status import JobStatus, Phase
from factory.errors import BadPicture, FactoryError, LeaseLost, OutOfVram, Refused, StorageDown
from factory.jobs.close_job import close_job
from factory.jobs.end_attempt import RetryRules, end_attempt, release_job
from factory.jobs.renew_leases import renew_leases
from factory.jobs.replay_dead_letters import replay_dead_letters
from factory.jobs.requeue_lost_jobs import Requeued, requeue_lost_jobs
from tests.integration.canceling import cancel_job
from tests.integration.jobs.books import LEASE, NOON, Books, Clock, chain, everything, finished, job_row, submit, take

OPERATOR = Actor("operator", "test")


def stale_claim(db: Database, clock: Clock, caller: Caller) -> Claim:
    """A claim whose lease ran out and whose job another worker draws now."""
    submit(db, caller)
    claim = take(db, "w1")
    clock.advance(61)
    requeue_lost_jobs(db, max_lost_leases=3)
    assert take(db, "w2").attempt == 2
    return claim


def test_close_makes_asset_record_and_event_together(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    job_id = submit(db, caller, sku="K1", negative_prompt="blurry", user="ana")
    claim = take(db)
    clock.advance(3)
    done = finished(claim)
    close_job(db, claim, done)
    row = job_row(sql, job_id)
    assert (row["status"], row["finished_at"], row["worker"], row["lease_until"], row["phase"]) == (
        "succeeded",
        NOON + timedelta(seconds=3),
        None,
        None,
        None,
    )
    assert sql.execute("SELECT job_id, attempt, key, sha256, bytes FROM assets").fetchall() == [(job_id, 1, done.key, done.sha256, 3)]
    record = sql.execute(
        "SELECT job_id, attempt, sku, prompt, negative_prompt, end_user, seed, worker, evaluations, asset_sha256, decision FROM generations"
    )
    assert record.fetchall() == [(job_id, 1, "K1", "一把红色的水壶", "blurry", "ana", "7", "w1", 8, done.sha256, "allow")]
    assert chain(sql, job_id)[-1] == ("job.succeeded", "running", "succeeded", 1)


STALE_WRITES: list[Callable[[Database, Claim], Any]] = [
    lambda db, claim: close_job(db, claim, finished(claim)),
    lambda db, claim: end_attempt(db, claim, StorageDown(), RetryRules()),
    lambda db, claim: end_attempt(db, claim, Refused("no"), RetryRules()),
]


@pytest.mark.parametrize("write", STALE_WRITES, ids=["close", "retry", "reject"])
def test_a_stale_attempt_is_turned_away_and_leaves_nothing(
    write: Callable[[Database, Claim], Any], db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection
) -> None:
    claim = stale_claim(db, clock, caller)
    before = everything(sql)
    with pytest.raises(LeaseLost) as fault:
        write(db, claim)
    assert fault.value.detail["attempt"] == 1
    assert everything(sql) == before


def test_a_stale_attempt_neither_renews_nor_releases(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    claim = stale_claim(db, clock, caller)
    clock.advance(30)
    before = everything(sql)
    assert renew_leases(db, {claim: Phase.FINISHING}, LEASE) == set()
    assert release_job(db, claim) is False
    assert everything(sql) == before


def test_a_canceled_or_finished_job_cannot_be_closed(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    canceled = submit(db, caller)
    first = take(db)
    cancel_job(db, tenant=caller.tenant, job_id=canceled, actor=OPERATOR)
    submit(db, caller)
    second = take(db)
    close_job(db, second, finished(second))
    before = everything(sql)
    for claim in (first, second):
        with pytest.raises(LeaseLost):
            close_job(db, claim, finished(claim))
    assert everything(sql) == before


def test_a_late_holder_may_finish_until_upkeep_took_the_job(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    job_id = submit(db, caller)
    claim = take(db)
    clock.advance(600)
    close_job(db, claim, finished(claim))
    assert job_row(sql, job_id)["status"] == "succeeded"


def test_a_job_that_succeeds_after_a_fault_keeps_no_error(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    """The fault of an earlier attempt stands in the log; the finished job itself has none."""
    job_id = submit(db, caller)
    end_attempt(db, take(db), StorageDown(), RetryRules())
    assert job_row(sql, job_id)["error"]["code"] == "storage_down"
    clock.advance(10)
    claim = take(db)
    close_job(db, claim, finished(claim))
    assert job_row(sql, job_id)["error"] is None


@pytest.mark.parametrize(
    ("fault", "to", "action", "code"),
    [
        (Refused("a rule said no", rule="r1"), "rejected", "prompt.rejected", "refused"),
        (BadPicture(), "failed", "job.failed", "bad_picture"),
        (StorageDown(), "queued", "job.retried", "storage_down"),
        (OutOfVram(), "queued", "job.retried", "out_of_vram"),
        (FactoryError("odd"), "queued", "job.retried", "factory_error"),
        (ValueError("a bug\nwith a second line"), "queued", "job.retried", "internal_error"),
    ],
)
def test_the_branch_of_the_error_decides(
    fault: Exception, to: str, action: str, code: str, db: Database, caller: Caller, sql: psycopg.Connection
) -> None:
    job_id = submit(db, caller)
    assert end_attempt(db, take(db), fault, RetryRules()) == to
    row = job_row(sql, job_id)
    assert (row["status"], row["error"]["code"], row["worker"], row["lease_until"]) == (to, code, None, None)
    assert "second line" not in row["error"]["detail"]
    assert (row["finished_at"] is None) == (to == "queued")
    assert (row["not_before"] is not None) == (to == "queued")
    assert row["avoid_worker"] == ("w1" if isinstance(fault, OutOfVram) else None)
    assert chain(sql, job_id)[-1] == (action, "running", to, 1)


def test_after_too_many_faults_a_job_is_a_dead_letter(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    job_id = submit(db, caller)
    rules = RetryRules(max_failures=3)
    for expected in (JobStatus.QUEUED, JobStatus.QUEUED, JobStatus.FAILED):
        assert end_attempt(db, take(db), StorageDown(), rules) is expected
        clock.advance(10)
    row = job_row(sql, job_id)
    assert (row["status"], row["failures"], row["attempt"]) == ("failed", 3, 3)
    assert row["dead_lettered_at"] == row["finished_at"]
    assert chain(sql, job_id)[-1] == ("job.dead_lettered", "running", "failed", 3)


def test_backoff_doubles_and_ends_at_five_minutes() -> None:
    rules = RetryRules(base=timedelta(seconds=2))
    for failures, ceiling in ((0, 2), (1, 4), (4, 32), (20, 300)):
        waits = [rules.backoff(failures).total_seconds() for _ in range(200)]
        assert max(waits) <= ceiling
        assert max(waits) > ceiling / 2 > min(waits), "full jitter spreads from nothing to the ceiling"


def test_released_work_is_taken_again_at_once(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    job_id = submit(db, caller)
    assert release_job(db, take(db)) is True
    row = job_row(sql, job_id)
    assert (row["status"], row["failures"], row["lost_leases"], row["not_before"]) == ("queued", 0, 0, None)
    assert take(db).attempt == 2
    assert [action for action, *_ in chain(sql, job_id)] == ["job.submitted", "job.started", "job.released", "job.started"]


def test_renewing_extends_a_lease_and_shows_the_phase(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    job_id = submit(db, caller)
    claim = take(db)
    clock.advance(10)
    assert renew_leases(db, {claim: Phase.LOADING}, LEASE) == {claim}
    assert job_row(sql, job_id)["lease_until"] == NOON + LEASE, "a lease that has most of its time left is not written again"
    clock.advance(30)
    assert renew_leases(db, {claim: Phase.FINISHING}, LEASE) == {claim}
    row = job_row(sql, job_id)
    assert (row["lease_until"], row["phase"]) == (NOON + timedelta(seconds=40) + LEASE, "finishing")
    assert len(chain(sql, job_id)) == 2, "a renewed lease is no event"


def test_lost_jobs_wait_again_and_the_third_time_are_poison(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    job_id = submit(db, caller)
    for lost in (1, 2, 3):
        assert take(db, f"w{lost}").attempt == lost
        clock.advance(60)
        assert requeue_lost_jobs(db, max_lost_leases=3) == Requeued(0, 0), "the lease is not over yet"
        clock.advance(1)
        outcome = requeue_lost_jobs(db, max_lost_leases=3)
        assert (outcome.requeued, outcome.dead_lettered) == ((0, 1) if lost == 3 else (1, 0))
    row = job_row(sql, job_id)
    assert (row["status"], row["lost_leases"], row["error"]["code"]) == ("failed", 3, "worker_lost")
    assert [action for action, *_ in chain(sql, job_id)][-3:] == ["job.requeued", "job.started", "job.dead_lettered"]


@pytest.mark.parametrize("phase", [Phase.CLAIMED, Phase.FINISHING])
def test_what_a_lost_worker_did_not_draw_is_not_blamed(
    phase: Phase, db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection
) -> None:
    job_id = submit(db, caller)
    for _ in range(4):
        renew_leases(db, {take(db, ahead=True): phase}, LEASE)
        clock.advance(61)
        assert requeue_lost_jobs(db, max_lost_leases=1) == Requeued(1, 0)
    assert (job_row(sql, job_id)["status"], job_row(sql, job_id)["lost_leases"]) == ("queued", 0)


def test_one_worker_with_two_attempts_of_a_job_loses_only_the_older(db: Database, clock: Clock, caller: Caller) -> None:
    """It was frozen, upkeep took the job back, and it claimed the job again before it learned of that."""
    submit(db, caller)
    older = take(db, "w1")
    clock.advance(61)
    requeue_lost_jobs(db, max_lost_leases=3)
    newer = take(db, "w1")
    clock.advance(40)
    assert renew_leases(db, {older: Phase.FINISHING, newer: Phase.GENERATING}, LEASE) == {newer}
    assert renew_leases(db, {newer: Phase.GENERATING, older: Phase.GENERATING}, LEASE) == {newer}


def test_a_replayed_dead_letter_starts_with_fresh_counters_and_a_higher_attempt(
    db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection
) -> None:
    job_id = submit(db, caller)
    end_attempt(db, take(db), StorageDown(), RetryRules(max_failures=1))
    submit(db, caller)
    end_attempt(db, take(db), BadPicture(), RetryRules())
    assert replay_dead_letters(db, actor=OPERATOR, tenant="nobody") == 0
    assert replay_dead_letters(db, actor=OPERATOR, tenant=caller.tenant, job_id=job_id) == 1
    assert replay_dead_letters(db, actor=OPERATOR) == 0, "what failed for good is no dead letter"
    row = job_row(sql, job_id)
    assert (row["status"], row["failures"], row["error"], row["finished_at"], row["dead_lettered_at"]) == ("queued", 0, None, None, None)
    assert take(db).attempt == 2
    assert chain(sql, job_id)[3] == ("job.replayed", "failed", "queued", 1)


def test_a_file_of_another_job_cannot_be_delivered(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    """Two assets under one key would be one file sold twice: the second close leaves nothing behind."""
    submit(db, caller)
    first = take(db)
    close_job(db, first, finished(first))
    submit(db, caller)
    second = take(db)
    before = everything(sql)
    with pytest.raises(IntegrityError):
        close_job(db, second, finished(first))
    assert everything(sql) == before


def test_a_renewal_that_waits_for_a_cancel_learns_of_it(db: Database, caller: Caller, sql: psycopg.Connection, books: Books) -> None:
    """It read the job while the cancel was not committed yet."""
    job_id = submit(db, caller)
    claim = take(db)
    with psycopg.connect(books.owner_dsn) as other, ThreadPoolExecutor(1) as pool:
        other.execute("UPDATE jobs SET status = 'canceled', worker = NULL, lease_until = NULL, phase = NULL WHERE id = %s", (job_id,))
        renewal = pool.submit(renew_leases, db, {claim: Phase.FINISHING}, LEASE)
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        while sql.execute(waiting).fetchone() == (0,):
            assert not renewal.done()
        other.commit()
        assert renewal.result() == set()
    assert (job_row(sql, job_id)["status"], job_row(sql, job_id)["lease_until"]) == ("canceled", None)
