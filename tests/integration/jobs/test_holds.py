"""release_held: a held job waits once its reason is gone, not before, and never stands before a mark."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest

from factory.db import Database
from factory.domain.caller import Caller
from factory.jobs import release_held as module
from factory.jobs.claim_job import claim_job
from factory.jobs.release_held import Released, release_held
from tests.integration.jobs.books import LEASE, NOON, Clock, count, job_row, submit, submit_rows, take

MINUTE = timedelta(minutes=1)


def test_a_scheduled_job_is_let_go_when_its_time_has_come(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    job_id = submit(db, caller, not_before=(NOON + MINUTE).isoformat())
    assert job_row(sql, job_id)["hold"] == "scheduled"
    clock.advance(59)
    assert release_held(db) == Released(0, 0)
    assert claim_job(db, worker="w1", lease=LEASE) is None
    clock.advance(1)
    assert release_held(db) == Released(1, 0)
    row = job_row(sql, job_id)
    assert (row["hold"], row["ready_at"]) == (None, NOON + MINUTE)
    assert release_held(db) == Released(0, 0)
    assert take(db).job_id == job_id


def test_what_comes_due_in_a_paused_batch_goes_on_waiting_for_it(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch = submit_rows(db, caller, [{}, {}])
    sql.execute("UPDATE batches SET paused_at = %s WHERE id = %s", (NOON, batch))
    sql.execute("UPDATE jobs SET hold = 'scheduled', not_before = %s", (NOON,))
    assert release_held(db) == Released(2, 0)
    assert sql.execute("SELECT DISTINCT hold FROM jobs").fetchall() == [("paused",)]


def test_paused_jobs_and_twins_are_others_to_let_go(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch = submit_rows(db, caller, [{"seed": 1}, {"seed": 2}])
    sql.execute("UPDATE batches SET paused_at = %s WHERE id = %s", (NOON, batch))
    sql.execute("UPDATE jobs SET hold = CASE row_no WHEN 1 THEN 'paused' ELSE 'twin' END, not_before = %s", (NOON,))
    assert release_held(db) == Released(0, 0)
    assert sorted(sql.execute("SELECT hold FROM jobs").fetchall()) == [("paused",), ("twin",)]


@pytest.mark.parametrize("hold", ["scheduled", "capped"])
def test_what_is_let_go_never_stands_before_a_mark(hold: str, db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    job_id = submit(db, caller, model="default")
    for checkpoint, tenant, low in (("", "", 1e11), ("default", "", 2e11), ("default", caller.tenant, 3e11), ("other", "", 9e11)):
        sql.execute(
            "INSERT INTO queue_marks VALUES ('interactive', %s, %s, %s, %s, NULL)"
            " ON CONFLICT (lane, checkpoint, tenant) DO UPDATE SET low = excluded.low, settled = excluded.settled",
            (checkpoint, tenant, low, low),
        )
    sql.execute("UPDATE jobs SET hold = %s, not_before = %s, vft = 1, turn = 1", (hold, NOON))
    release_held(db)
    row = job_row(sql, job_id)
    assert (row["hold"], row["vft"], row["turn"]) == (None, 2e11, 3e11)


def test_a_later_place_is_kept(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    job_id = submit(db, caller)
    sql.execute("UPDATE jobs SET hold = 'scheduled', not_before = %s, vft = 5e11, turn = 6e11", (NOON,))
    release_held(db)
    row = job_row(sql, job_id)
    assert (row["vft"], row["turn"]) == (5e11, 6e11)


def test_long_lists_are_let_go_page_by_page_and_by_many_at_once(
    db: Database, caller: Caller, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 7)
    submit_rows(db, caller, [{"seed": n} for n in range(100)])
    sql.execute("UPDATE jobs SET hold = 'scheduled', not_before = %s", (NOON,))
    with ThreadPoolExecutor(4) as pool:
        released = sum(one.due for one in pool.map(lambda _: release_held(db), range(4)))
    released += release_held(db).due
    assert released == 100
    assert count(sql, "jobs WHERE hold IS NULL") == 100
    assert count(sql, "audit_events") == 101


def test_a_held_job_is_offered_to_nobody(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    held: list[uuid.UUID] = [submit(db, caller) for _ in range(4)]
    for job_id, hold in zip(held, ("scheduled", "paused", "capped", "twin"), strict=True):
        sql.execute("UPDATE jobs SET hold = %s WHERE id = %s", (hold, job_id))
    assert claim_job(db, worker="w1", lease=LEASE) is None
