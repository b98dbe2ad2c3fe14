"""retry_batch: what came to nothing is ordered anew in its row; what was delivered stays, and nothing is drawn twice."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.domain.status import JobStatus
from factory.errors import BadPicture, Invalid, QueueFull
from factory.intake.rows import read_order
from factory.jobs import prepare_retry as module
from factory.jobs.close_job import close_job
from factory.jobs.end_attempt import RetryRules, end_attempt
from factory.jobs.end_batches import end_batches
from factory.jobs.find_batches import find_batch
from factory.jobs.find_jobs import find_job
from factory.jobs.lineage import lineage
from factory.jobs.pause_batch import pause_batch
from factory.jobs.prepare_batch import PreparedBatch
from factory.jobs.prepare_retry import RetryWish, prepare_retry
from factory.jobs.replay_dead_letters import replay_dead_letters
from factory.jobs.retry_batch import Retried, retry_batch
from tests.integration.canceling import cancel_batch
from tests.integration.jobs.books import ADMISSION, allow, count, everything, finished, job_row, submit_rows, take

ACTOR = Actor("key", "fk_testkey")


def wish_of(statuses: tuple[str, ...] = (), **changes: Any) -> RetryWish:
    return RetryWish(frozenset(JobStatus(name) for name in statuses), changes)


def prepared(db: Database, caller: Caller, batch_id: uuid.UUID, wish: RetryWish) -> PreparedBatch:
    return prepare_retry(db, find_batch(db, tenant=caller.tenant, name=str(batch_id)).batch, wish, ADMISSION, read_order)


def carry_out(db: Database, caller: Caller, batch_id: uuid.UUID, wish: RetryWish, ready: PreparedBatch) -> Retried:
    with db.transaction() as session:
        return retry_batch(session, db.now(), caller, batch_id=batch_id, wish=wish, prepared=ready)


def retry(db: Database, caller: Caller, batch_id: uuid.UUID, statuses: tuple[str, ...] = (), **changes: Any) -> Retried:
    wish = wish_of(statuses, **changes)
    return carry_out(db, caller, batch_id, wish, prepared(db, caller, batch_id, wish))


def fail(db: Database, jobs: int = 1) -> list[uuid.UUID]:
    failed = []
    for _ in range(jobs):
        claim = take(db)
        end_attempt(db, claim, BadPicture(), RetryRules())
        failed.append(claim.job_id)
    return failed


def deliver(db: Database, jobs: int = 1) -> None:
    for _ in range(jobs):
        claim = take(db)
        close_job(db, claim, finished(claim))


def newest(sql: psycopg.Connection, old: uuid.UUID) -> dict[str, Any]:
    row = sql.execute("SELECT id FROM jobs WHERE retry_of = %s", (old,)).fetchone()
    assert row is not None
    return job_row(sql, row[0])


def test_only_what_failed_is_ordered_anew(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}] * 4)
    deliver(db, 2)
    failed = fail(db, 2)
    assert end_batches(db) == 1
    assert retry(db, caller, batch_id) == Retried(2, 0)
    found = find_batch(db, tenant=caller.tenant, name=str(batch_id))
    assert (found.counts, found.status, found.batch.ended_at) == ({"succeeded": 2, "queued": 2}, "running", None)
    for old in failed:
        row = newest(sql, old)
        before = job_row(sql, old)
        assert (row["row_no"], row["status"], row["superseded"]) == (before["row_no"], "queued", False)
        assert (before["status"], before["superseded"]) == ("failed", True)
        assert row["seq"] not in {before["seq"], None}
    deliver(db, 2)
    assert find_batch(db, tenant=caller.tenant, name=str(batch_id)).status == "completed"
    assert end_batches(db) == 1
    logged = sql.execute("SELECT detail FROM audit_events WHERE action = 'batch.retried'").fetchall()
    assert logged == [({"retried": 2, "rejected": 0, "statuses": ["expired", "failed"], "changes": {}},)]


def test_a_retried_row_does_not_wait_for_all_of_a_later_order(db: Database, caller: Caller) -> None:
    batch_id = submit_rows(db, caller, [{}])
    fail(db, 1)
    end_batches(db)
    submit_rows(db, caller, [{}] * 50)
    assert retry(db, caller, batch_id) == Retried(1, 0)
    assert [take(db).batch_id for _ in range(3)][1] == batch_id


def test_a_retry_leaves_a_refused_row_refused(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}, {"width": 500}])
    fail(db)
    assert end_batches(db) == 1
    assert retry(db, caller, batch_id) == Retried(1, 0)
    deliver(db)
    assert end_batches(db) == 1
    found = find_batch(db, tenant=caller.tenant, name=str(batch_id))
    assert (found.status, found.counts, found.batch.rows_refused) == ("partially_completed", {"succeeded": 1}, 1)
    logged = sql.execute("SELECT detail->>'status' FROM audit_events WHERE action = 'batch.ended' ORDER BY id").fetchall()
    assert logged == [("failed",), ("partially_completed",)]


def test_the_same_again_retries_nothing_more(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}])
    fail(db)
    assert [retry(db, caller, batch_id) for _ in range(2)] == [Retried(1, 0), Retried(0, 0)]
    assert count(sql, "jobs") == 2


def test_two_retries_prepared_at_once_are_carried_out_once(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}] * 2)
    fail(db, 2)
    wish = wish_of()
    first, second = (prepared(db, caller, batch_id, wish) for _ in range(2))
    assert carry_out(db, caller, batch_id, wish, first) == Retried(2, 0)
    assert carry_out(db, caller, batch_id, wish, second) == Retried(0, 0)
    assert count(sql, "jobs") == 4


def test_the_external_id_and_the_labels_go_with_the_newest_job(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    rows = [{"external_id": "row-1", "sku": "S-1", "slot": "main", "user": "ann", "tags": ["x"]}]
    batch_id = submit_rows(db, caller, rows, campaign="spring", metadata=(("shelf", "3"),))
    (old,) = fail(db)
    retry(db, caller, batch_id)
    found = find_job(db, tenant=caller.tenant, name="row-1").job
    before = job_row(sql, old)
    assert (found.retry_of, found.external_id, before["external_id"]) == (old, "row-1", None)
    assert before["requested"]["external_id"] == "row-1"
    labels = ("sku", "cell", "end_user", "campaign", "tags", "customer_metadata", "project")
    assert {name: getattr(found, name) for name in labels} == {name: before[name] for name in labels}


def test_lineage_is_seen_from_both_ends(db: Database, caller: Caller) -> None:
    batch_id = submit_rows(db, caller, [{"external_id": "row-1"}, {}])
    (first,) = fail(db)
    retry(db, caller, batch_id)
    chain = lineage(db, tenant=caller.tenant, name=str(first))
    assert [(job.superseded, job.retry_of) for job in chain] == [(True, None), (False, first)]
    assert [job.id for job in lineage(db, tenant=caller.tenant, name=str(chain[-1].id))] == [job.id for job in chain]


def test_parameters_are_changed_and_admitted_anew(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{"prompt": "一只红杯", "seed": 1, "size": "256x128"}])
    (old,) = fail(db)
    assert retry(db, caller, batch_id, seed=9, size="128x128", model="other") == Retried(1, 0)
    row = newest(sql, old)
    spec = row["spec"]
    assert (spec["prompt"], spec["seed"], spec["width"], spec["height"], spec["checkpoint"]) == ("一只红杯", 9, 128, 128, "other")
    assert (row["checkpoint"], row["requested"]["seed"]) == ("other", 9)
    assert job_row(sql, old)["spec"]["seed"] == 1


def test_changes_that_no_row_can_take_write_nothing(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}] * 2)
    fail(db, 2)
    before = everything(sql)
    for changes, code, pointer in (
        ({"size": "100x100"}, "size_not_multiple_of_16", "/width"),
        ({"width": 17}, "size_out_of_range", "/changes/width"),
        ({"seed": -1}, "invalid_value", "/changes/seed"),
        ({"model": "unknown"}, "unknown_checkpoint", "/changes/model"),
    ):
        with pytest.raises(Invalid) as refused:
            retry(db, caller, batch_id, **changes)
        assert refused.value.code == "no_valid_rows"
        assert (refused.value.problems[0].code, refused.value.problems[0].pointer) == (code, pointer)
    with pytest.raises(Invalid) as refused:
        retry(db, caller, batch_id, sku="other")
    assert refused.value.code == "unknown_field"
    assert everything(sql) == before


def test_a_row_that_cannot_take_the_changes_stays_as_it_is(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{"height": 512}, {"height": 512, "seed": 3}])
    sql.execute("UPDATE jobs SET requested = requested || '{\"seed\": -7}' WHERE row_no = 2")
    fail(db, 2)
    wish = wish_of(width=64)
    ready = prepared(db, caller, batch_id, wish)
    assert carry_out(db, caller, batch_id, wish, ready) == Retried(1, 0)
    assert (ready.refused, [(error["row"], error["pointer"]) for error in ready.errors]) == (1, [(2, "/seed")])
    rows = sql.execute("SELECT status, superseded FROM jobs WHERE row_no = 2").fetchall()
    assert rows == [("failed", False)]


def test_refused_rows_are_retried_when_something_changes_and_canceled_ones_when_named(
    db: Database, caller: Caller, sql: psycopg.Connection
) -> None:
    batch_id = submit_rows(db, caller, [{"prompt": "forbidden"}, {}])
    cancel_batch(db, tenant=caller.tenant, batch_id=batch_id, actor=ACTOR)
    assert retry(db, caller, batch_id) == Retried(0, 0)
    assert retry(db, caller, batch_id, prompt="still forbidden") == Retried(0, 1)
    assert retry(db, caller, batch_id, prompt="a mug") == Retried(1, 0)
    assert retry(db, caller, batch_id, ("canceled",)) == Retried(1, 0)
    assert find_batch(db, tenant=caller.tenant, name=str(batch_id)).counts == {"queued": 2}
    actions = sql.execute("SELECT action, count(*) FROM audit_events WHERE job_id IS NOT NULL GROUP BY 1 ORDER BY 1").fetchall()
    assert actions == [("job.canceled", 1), ("job.submitted", 3), ("prompt.rejected", 2)]


def test_a_replaced_dead_letter_is_not_replayed_as_well(db: Database, caller: Caller) -> None:
    batch_id = submit_rows(db, caller, [{}])
    end_attempt(db, take(db), RuntimeError("again and again"), RetryRules(max_failures=1))
    assert retry(db, caller, batch_id) == Retried(1, 0)
    assert replay_dead_letters(db, actor=ACTOR) == 0


def test_a_paused_batch_stays_paused(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}] * 2)
    (old,) = fail(db)
    pause_batch(db, tenant=caller.tenant, batch_id=batch_id, actor=ACTOR)
    assert retry(db, caller, batch_id) == Retried(1, 0)
    assert newest(sql, old)["hold"] == "paused"


def test_only_as_many_as_the_queue_has_room_for(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}] * 3)
    fail(db, 3)
    allow(sql, caller.tenant, max_queued=2)
    wish = wish_of()
    ready = prepared(db, caller, batch_id, wish)
    assert carry_out(db, caller, batch_id, wish, ready) == Retried(2, 0)
    assert [(error["row"], error["code"]) for error in ready.errors] == [(3, "queue_full")]
    with pytest.raises(QueueFull):
        retry(db, caller, batch_id)
    assert find_batch(db, tenant=caller.tenant, name=str(batch_id)).counts == {"failed": 1, "queued": 2}


def test_a_long_batch_is_read_in_pages(db: Database, caller: Caller, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    batch_id = submit_rows(db, caller, [{}] * 5)
    fail(db, 5)
    assert retry(db, caller, batch_id) == Retried(5, 0)
    rows = sql.execute("SELECT row_no FROM jobs WHERE NOT superseded ORDER BY vft").fetchall()
    assert rows == [(number,) for number in range(1, 6)]
