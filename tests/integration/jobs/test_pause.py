"""pause_batch, resume_batch, converge_pauses: a paused row is offered to nobody, and a resumed one to everybody, whoever dies between."""

from __future__ import annotations

import uuid
from datetime import timedelta
from itertools import pairwise

import psycopg
import pytest

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.errors import Capacity
from factory.jobs import chunks
from factory.jobs.claim_job import claim_job
from factory.jobs.close_job import close_job
from factory.jobs.end_attempt import RetryRules, end_attempt
from factory.jobs.end_batches import end_batches
from factory.jobs.find_batches import find_batch
from factory.jobs.pause_batch import Converged, converge_pauses, pause_batch, resume_batch
from factory.jobs.requeue_lost_jobs import requeue_lost_jobs
from tests.integration.jobs.books import LEASE, NOON, Clock, count, finished, submit_rows, take

ACTOR = Actor("key", "fk_testkey")


def pause(db: Database, caller: Caller, batch_id: uuid.UUID) -> int:
    return pause_batch(db, tenant=caller.tenant, batch_id=batch_id, actor=ACTOR)


def resume(db: Database, caller: Caller, batch_id: uuid.UUID) -> int:
    return resume_batch(db, tenant=caller.tenant, batch_id=batch_id, actor=ACTOR)


def status(db: Database, caller: Caller, batch_id: uuid.UUID) -> str:
    return find_batch(db, tenant=caller.tenant, name=str(batch_id)).status


def holds(sql: psycopg.Connection, batch_id: uuid.UUID) -> list[str | None]:
    return [hold for (hold,) in sql.execute("SELECT hold FROM jobs WHERE batch_id = %s ORDER BY row_no", (batch_id,))]


def events(sql: psycopg.Connection) -> list[str]:
    return [action for (action,) in sql.execute("SELECT action FROM audit_events WHERE job_id IS NULL ORDER BY id")]


def set_mark(sql: psycopg.Connection, checkpoint: str, tenant: str, low: float) -> None:
    sql.execute(
        "INSERT INTO queue_marks VALUES ('bulk', %s, %s, %s, %s, NULL)"
        " ON CONFLICT (lane, checkpoint, tenant) DO UPDATE SET low = excluded.low, settled = excluded.settled",
        (checkpoint, tenant, low, low),
    )


def test_what_waits_is_held_and_what_runs_is_finished(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}] * 3)
    running = take(db)
    assert pause(db, caller, batch_id) == 2
    assert claim_job(db, worker="w2", lease=LEASE) is None
    close_job(db, running, finished(running))
    assert status(db, caller, batch_id) == "paused"
    assert resume(db, caller, batch_id) == 2
    assert {take(db).batch_id, take(db).batch_id} == {batch_id}
    assert events(sql) == ["batch.submitted", "batch.paused", "batch.resumed"]


def test_both_are_idempotent_and_logged_once(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}] * 2)
    assert [pause(db, caller, batch_id) for _ in range(2)] == [2, 0]
    assert [resume(db, caller, batch_id) for _ in range(2)] == [2, 0]
    assert events(sql) == ["batch.submitted", "batch.paused", "batch.resumed"]


def test_a_large_batch_is_held_in_chunks(db: Database, caller: Caller, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 2)
    batch_id = submit_rows(db, caller, [{}] * 5)
    assert pause(db, caller, batch_id) == 5
    assert holds(sql, batch_id) == ["paused"] * 5
    assert resume(db, caller, batch_id) == 5
    assert holds(sql, batch_id) == [None] * 5


def test_what_a_dead_process_left_is_finished_by_upkeep(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}] * 3)
    sql.execute("UPDATE batches SET paused_at = %s", (NOON,))
    sql.execute("UPDATE jobs SET hold = 'paused' WHERE row_no = 1")
    assert [converge_pauses(db) for _ in range(2)] == [Converged(2, 0), Converged(0, 0)]
    sql.execute("UPDATE batches SET paused_at = NULL")
    sql.execute("UPDATE jobs SET hold = NULL WHERE row_no = 3")
    assert [converge_pauses(db) for _ in range(2)] == [Converged(0, 2), Converged(0, 0)]
    assert holds(sql, batch_id) == [None] * 3


def test_jobs_that_come_back_to_a_paused_batch_are_held_again(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}] * 3)
    take(db)
    failing = take(db)
    assert pause(db, caller, batch_id) == 1
    end_attempt(db, failing, Capacity("too small"), RetryRules(base=timedelta(0)))
    clock.advance(61)
    requeue_lost_jobs(db, max_lost_leases=3)
    converge_pauses(db)
    assert holds(sql, batch_id) == ["paused"] * 3
    assert claim_job(db, worker="w9", lease=LEASE) is None
    assert resume(db, caller, batch_id) == 3


def test_a_job_that_waits_for_its_hour_goes_on_waiting_for_it(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    later = (NOON + timedelta(hours=1)).isoformat()
    batch_id = submit_rows(db, caller, [{"not_before": later}, {}])
    assert pause(db, caller, batch_id) == 1
    assert holds(sql, batch_id) == ["scheduled", "paused"]
    sql.execute("UPDATE jobs SET hold = 'paused'")
    assert resume(db, caller, batch_id) == 2
    assert holds(sql, batch_id) == ["scheduled", None]


def test_resumed_rows_keep_their_distances_behind_what_is_served_now(
    db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection
) -> None:
    batch_id = submit_rows(db, caller, [{"model": "default"}] * 4)
    places = "SELECT vft, turn FROM jobs ORDER BY row_no"
    before = sql.execute(places).fetchall()
    pause(db, caller, batch_id)
    for checkpoint, tenant, low in (("", "", 1e6), ("default", "", 1e6), ("default", caller.tenant, 2e6)):
        set_mark(sql, checkpoint, tenant, low)
    clock.advance(3600)
    resume(db, caller, batch_id)
    after = sql.execute(places).fetchall()
    for at, low in ((0, 1e6), (1, 2e6)):
        assert after[0][at] == pytest.approx(low)
        gaps = [later[at] - sooner[at] for sooner, later in pairwise(after)]
        assert gaps == pytest.approx([later[at] - sooner[at] for sooner, later in pairwise(before)])
    assert sql.execute("SELECT DISTINCT ready_at FROM jobs").fetchall() == [(NOON + timedelta(hours=1),)]


def test_of_a_tenant_with_a_cap_resumed_rows_join_its_line(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}] * 3)
    pause(db, caller, batch_id)
    sql.execute("INSERT INTO allowances VALUES (%s, '', 1, 1, NULL)", (caller.tenant,))
    assert resume(db, caller, batch_id) == 3
    assert holds(sql, batch_id) == ["capped"] * 3


def test_a_batch_that_has_ended_is_not_paused(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}])
    claim = take(db)
    close_job(db, claim, finished(claim))
    assert pause(db, caller, batch_id) == 0
    end_batches(db)
    assert pause(db, caller, batch_id) == 0
    assert status(db, caller, batch_id) == "completed"
    assert count(sql, "batches WHERE paused_at IS NOT NULL") == 0


def test_nobody_pauses_for_another_tenant(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}])
    assert pause_batch(db, tenant="neighbour", batch_id=batch_id, actor=ACTOR) == 0
    pause(db, caller, batch_id)
    assert resume_batch(db, tenant="neighbour", batch_id=batch_id, actor=ACTOR) == 0
    assert holds(sql, batch_id) == ["paused"]
