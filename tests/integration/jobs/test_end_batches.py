"""end_batches: a batch ends once nothing of it waits or runs, and the log says truthfully how."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

import psycopg
import pytest

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.errors import BadPicture
from factory.jobs import end_batches as module
from factory.jobs.close_job import close_job
from factory.jobs.end_attempt import RetryRules, end_attempt
from factory.jobs.end_batches import end_batches, reopen
from factory.jobs.find_batches import find_batch, list_batches
from factory.jobs.label_filter import LabelFilter
from factory.jobs.replay_dead_letters import replay_dead_letters
from tests.integration.canceling import cancel_batch
from tests.integration.jobs.books import Clock, finished, submit_rows, take

ACTOR = Actor("key", "fk_testkey")


def draw(db: Database, outcomes: Iterable[bool]) -> None:
    """Take a job for each outcome; deliver it or fail it for good."""
    for is_good in outcomes:
        claim = take(db)
        if is_good:
            close_job(db, claim, finished(claim))
        else:
            end_attempt(db, claim, BadPicture(), RetryRules())


def ended(sql: psycopg.Connection) -> list[dict[str, object]]:
    return [detail for (detail,) in sql.execute("SELECT detail FROM audit_events WHERE action = 'batch.ended' ORDER BY id")]


def test_a_batch_ends_once_and_not_before_its_last_job(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}] * 2)
    assert end_batches(db) == 0
    draw(db, [True])
    running = take(db)
    assert end_batches(db) == 0
    close_job(db, running, finished(running))
    clock.advance(5)
    assert [end_batches(db) for _ in range(2)] == [1, 0]
    assert ended(sql) == [{"status": "completed", "counts": {"succeeded": 2}, "accepted": 2, "refused": 0}]
    row = sql.execute("SELECT ended_at, paused_at FROM batches WHERE id = %s", (batch_id,)).fetchone()
    assert row == (clock(), None)


@pytest.mark.parametrize(
    ("outcomes", "canceled", "status"),
    [
        ([True, True], False, "completed"),
        ([True, False], False, "partially_completed"),
        ([False, False], False, "failed"),
        ([True], True, "partially_completed"),
        ([False], True, "failed"),
        ([], True, "canceled"),
    ],
)
def test_the_final_status_is_what_the_jobs_say(
    outcomes: list[bool], canceled: bool, status: str, db: Database, caller: Caller, sql: psycopg.Connection
) -> None:
    batch_id = submit_rows(db, caller, [{}] * 2)
    draw(db, outcomes)
    if canceled:
        cancel_batch(db, tenant=caller.tenant, batch_id=batch_id, actor=ACTOR)
    assert end_batches(db) == 1
    assert [detail["status"] for detail in ended(sql)] == [status]


@pytest.mark.parametrize(
    ("outcomes", "canceled", "status"),
    [([True, True], False, "partially_completed"), ([False, False], False, "failed"), ([], True, "canceled")],
)
def test_a_batch_with_a_refused_row_is_never_completed(
    outcomes: list[bool], canceled: bool, status: str, db: Database, caller: Caller, sql: psycopg.Connection
) -> None:
    batch_id = submit_rows(db, caller, [{}, {"width": 500}, {}])
    assert find_batch(db, tenant=caller.tenant, name=str(batch_id)).status == "queued"
    draw(db, outcomes)
    if canceled:
        cancel_batch(db, tenant=caller.tenant, batch_id=batch_id, actor=ACTOR)
    assert end_batches(db) == 1
    assert [(detail["status"], detail["accepted"], detail["refused"]) for detail in ended(sql)] == [(status, 2, 1)]
    assert find_batch(db, tenant=caller.tenant, name=str(batch_id)).status == status
    assert [found.status for found in list_batches(db, tenant=caller.tenant, wanted=LabelFilter())] == [status]


def test_many_at_once_and_the_open_ones_stay(
    db: Database, caller: Caller, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    batches = [submit_rows(db, caller, [{}]) for _ in range(5)]
    draw(db, [True] * 4)
    assert end_batches(db) == 4
    still = sql.execute("SELECT batch_id FROM jobs WHERE status = 'queued'").fetchone()
    assert still is not None
    assert sql.execute("SELECT id FROM batches WHERE ended_at IS NULL").fetchall() == [still]
    assert still[0] in batches


def test_a_batch_whose_jobs_wait_again_is_open_again(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}])
    claim = take(db)
    end_attempt(db, claim, RuntimeError("again and again"), RetryRules(max_failures=1))
    assert end_batches(db) == 1
    assert replay_dead_letters(db, actor=ACTOR) == 1
    assert sql.execute("SELECT ended_at FROM batches").fetchall() == [(None,)]
    assert end_batches(db) == 0
    draw(db, [True])
    assert end_batches(db) == 1
    assert [detail["status"] for detail in ended(sql)] == ["failed", "completed"]
    with db.transaction() as session:
        reopen(session, [batch_id, uuid.uuid4()])
        reopen(session, [])
    assert end_batches(db) == 1
