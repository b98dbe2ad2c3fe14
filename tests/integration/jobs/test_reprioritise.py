"""reprioritise: what waits moves, in its lane or to another; what runs stays; the log says who wanted it."""

from __future__ import annotations

import uuid

import psycopg
import pytest

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.domain.status import Priority
from factory.jobs import chunks
from factory.jobs.reprioritise import reprioritise_batch, reprioritise_job
from tests.integration.jobs.books import Clock, job_row, make_tenant, submit, submit_rows, take

ACTOR = Actor("key", "fk_testkey")


def move(db: Database, caller: Caller, batch_id: uuid.UUID, priority: Priority) -> int:
    return reprioritise_batch(db, tenant=caller.tenant, batch_id=batch_id, priority=priority, actor=ACTOR)


def test_rows_that_wait_go_to_the_other_lane_and_what_runs_stays(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}] * 3)
    running = take(db)
    assert move(db, caller, batch_id, Priority.INTERACTIVE) == 2
    rows = sql.execute("SELECT id, lane, priority FROM jobs ORDER BY row_no").fetchall()
    assert {(lane, priority) for job_id, lane, priority in rows if job_id != running.job_id} == {("interactive", "interactive")}
    assert job_row(sql, running.job_id)["lane"] == "bulk"
    assert [move(db, caller, batch_id, Priority.INTERACTIVE)] == [0]
    assert sql.execute("SELECT priority FROM batches").fetchall() == [("interactive",)]
    logged = sql.execute("SELECT detail FROM audit_events WHERE action = 'batch.reprioritised'").fetchall()
    assert logged == [({"was": "bulk", "priority": "interactive"},)]


def test_a_lane_change_in_chunks_keeps_the_order_of_the_rows(
    db: Database, caller: Caller, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 2)
    batch_id = submit_rows(db, caller, [{}] * 5)
    assert move(db, caller, batch_id, Priority.OFFPEAK) == 5
    places = [vft for (vft,) in sql.execute("SELECT vft FROM jobs ORDER BY row_no")]
    assert places == sorted(set(places))


def test_in_its_own_lane_a_heavier_batch_overtakes_a_neighbour(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    make_tenant(sql, "neighbour")
    neighbour = submit_rows(db, Caller("neighbour", "fk_other"), [{}] * 4)
    batch_id = submit_rows(db, caller, [{}] * 4)
    assert move(db, caller, batch_id, Priority.STANDARD) == 4
    line = "SELECT batch_id FROM jobs ORDER BY vft, id LIMIT 3"
    assert [whose for (whose,) in sql.execute(line)] == [batch_id] * 3
    assert move(db, caller, batch_id, Priority.BULK) == 4
    ahead = [whose for (whose,) in sql.execute(line)]
    assert neighbour in ahead


def test_a_single_job(db: Database, caller: Caller, clock: Clock, sql: psycopg.Connection) -> None:
    job_id = submit(db, caller)
    assert reprioritise_job(db, tenant="neighbour", job_id=job_id, priority=Priority.BULK, actor=ACTOR) == 0
    assert reprioritise_job(db, tenant=caller.tenant, job_id=job_id, priority=Priority.BULK, actor=ACTOR) == 1
    assert reprioritise_job(db, tenant=caller.tenant, job_id=job_id, priority=Priority.BULK, actor=ACTOR) == 0
    assert job_row(sql, job_id)["lane"] == "bulk"
    assert take(db).job_id == job_id
    assert reprioritise_job(db, tenant=caller.tenant, job_id=job_id, priority=Priority.OFFPEAK, actor=ACTOR) == 0


def test_a_held_row_moves_and_stays_held(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}] * 2)
    sql.execute("UPDATE jobs SET hold = 'paused'")
    assert move(db, caller, batch_id, Priority.INTERACTIVE) == 2
    assert sql.execute("SELECT DISTINCT hold, lane FROM jobs").fetchall() == [("paused", "interactive")]
