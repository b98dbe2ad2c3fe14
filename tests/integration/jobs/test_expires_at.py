"""A batch's own end: its rows have it unless they say another, and a retry keeps it while it is to come."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from factory.db import Database
from factory.domain.caller import Caller
from factory.errors import BadPicture, Invalid
from factory.intake.rows import read_order
from factory.jobs.end_attempt import RetryRules, end_attempt
from factory.jobs.expire_jobs import expire_jobs
from factory.jobs.find_batches import find_batch
from factory.jobs.prepare_retry import RetryWish, prepare_retry
from factory.jobs.retry_batch import Retried, retry_batch
from tests.integration.jobs.books import ADMISSION, NOON, Clock, count, job_row, submit, submit_rows, take

HOUR = timedelta(hours=1)
FAR = datetime(2099, 1, 1, tzinfo=UTC)


def ends(sql: psycopg.Connection) -> list[datetime | None]:
    return [row[0] for row in sql.execute("SELECT expires_at FROM jobs WHERE NOT superseded ORDER BY row_no")]


def fail(db: Database) -> None:
    end_attempt(db, take(db), BadPicture(), RetryRules())


def retry(db: Database, caller: Caller, batch_id: uuid.UUID, **changes: Any) -> Retried:
    wish = RetryWish(changes=changes)
    ready = prepare_retry(db, find_batch(db, tenant=caller.tenant, name=str(batch_id)).batch, wish, ADMISSION, read_order)
    with db.transaction() as session:
        return retry_batch(session, db.now(), caller, batch_id=batch_id, wish=wish, prepared=ready)


def test_a_single_order_says_a_moment(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    assert job_row(sql, submit(db, caller, expires_at="2099-01-01T08:00:00+08:00"))["expires_at"] == FAR


def test_rows_expire_with_their_order_unless_they_say_their_own(
    db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection
) -> None:
    rows: list[dict[str, Any]] = [{}, {"expires_in": 7200}, {"expires_at": FAR.isoformat()}]
    batch_id = submit_rows(db, caller, rows, expires_at=NOON + HOUR)
    assert ends(sql) == [NOON + HOUR, NOON + 2 * HOUR, FAR]
    clock.advance(3599)
    assert expire_jobs(db) == 0
    clock.advance(1)
    assert expire_jobs(db) == 1
    assert sql.execute("SELECT status FROM jobs ORDER BY row_no").fetchall() == [("expired",), ("queued",), ("queued",)]
    assert find_batch(db, tenant=caller.tenant, name=str(batch_id)).counts == {"expired": 1, "queued": 2}


def test_seconds_of_an_order_count_from_its_acceptance(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    clock.advance(60)
    submit_rows(db, caller, [{}, {"expires_in": 90}], expires_in=3600)
    assert ends(sql) == [clock() + HOUR, clock() + timedelta(seconds=90)]


def test_an_order_whose_end_has_passed_leaves_nothing(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    with pytest.raises(Invalid, match="has passed") as refused:
        submit_rows(db, caller, [{}], expires_at=NOON)
    assert (refused.value.code, refused.value.problems[0].pointer) == ("invalid_value", "/expires_at")
    assert (count(sql, "jobs"), count(sql, "batches"), count(sql, "name_counters")) == (0, 0, 0)


def test_a_retry_keeps_the_end_while_it_is_to_come(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}], expires_at=NOON + HOUR)
    fail(db)
    clock.advance(60)
    assert retry(db, caller, batch_id) == Retried(1, 0)
    assert ends(sql) == [NOON + HOUR]
    fail(db)
    assert retry(db, caller, batch_id, expires_in=90) == Retried(1, 0)
    assert ends(sql) == [clock() + timedelta(seconds=90)]
    fail(db)
    assert retry(db, caller, batch_id, expires_in=None) == Retried(1, 0)
    assert ends(sql) == [None]


def test_what_expired_is_retried_without_the_end_that_has_passed(
    db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection
) -> None:
    rows: list[dict[str, Any]] = [{}, {"expires_in": 60}, {"expires_at": FAR.isoformat()}]
    batch_id = submit_rows(db, caller, rows, expires_at=NOON + HOUR)
    # As if the third had said it when it was still to come.
    said = 'UPDATE jobs SET expires_at = %s, requested = requested || \'{"expires_at": "2026-03-01T12:30:00Z"}\' WHERE row_no = 3'
    sql.execute(said, (NOON + HOUR / 2,))
    clock.advance(3600)
    assert expire_jobs(db) == 3
    assert retry(db, caller, batch_id) == Retried(3, 0)
    assert ends(sql) == [None, clock() + timedelta(seconds=60), None]
    (asked,) = sql.execute("SELECT requested FROM jobs WHERE row_no = 3 AND NOT superseded").fetchall()
    assert "expires_at" not in asked[0]


def test_a_retry_that_would_begin_after_its_orders_end_is_refused(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}], expires_at=FAR)
    fail(db)
    with pytest.raises(Invalid) as refused:
        retry(db, caller, batch_id, not_before=(FAR + HOUR).isoformat())
    (problem,) = refused.value.problems
    assert (problem.code, problem.pointer, "`expires_at` of the whole order" in problem.message) == (
        "invalid_value",
        "/changes/not_before",
        True,
    )
    assert retry(db, caller, batch_id, not_before=(FAR + HOUR).isoformat(), expires_at=(FAR + 2 * HOUR).isoformat()) == Retried(1, 0)
