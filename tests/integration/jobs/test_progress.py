"""find_batches: how a batch stands and how fast it goes, counted from its jobs."""

from __future__ import annotations

from datetime import timedelta

import psycopg

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.jobs.close_job import close_job
from factory.jobs.find_batches import find_batch, list_batches
from factory.jobs.label_filter import LabelFilter
from factory.jobs.pace import UNKNOWN
from factory.jobs.pause_batch import pause_batch
from tests.integration.jobs.books import Clock, finished, submit_rows, take


def draw(db: Database, clock: Clock, pictures: int, seconds: float) -> None:
    for _ in range(pictures):
        claim = take(db)
        clock.advance(seconds)
        close_job(db, claim, finished(claim))


def test_rate_and_finish_are_known_while_it_is_drawn(db: Database, clock: Clock, caller: Caller) -> None:
    name = str(submit_rows(db, caller, [{}] * 6))
    assert find_batch(db, tenant=caller.tenant, name=name).pace == UNKNOWN
    draw(db, clock, 3, 20)
    pace = find_batch(db, tenant=caller.tenant, name=name).pace
    assert pace.per_minute == 3
    assert pace.finish is not None
    assert pace.finish.p50 == clock() + timedelta(minutes=1) < pace.finish.p90
    (listed,) = list_batches(db, tenant=caller.tenant, wanted=LabelFilter())
    assert listed.pace == pace
    clock.advance(301)
    assert find_batch(db, tenant=caller.tenant, name=name).pace == UNKNOWN
    draw(db, clock, 3, 1)
    done = find_batch(db, tenant=caller.tenant, name=name)
    assert (done.status, done.pace) == ("completed", UNKNOWN)


def test_a_paused_batch_has_no_finish(db: Database, clock: Clock, caller: Caller) -> None:
    batch_id = submit_rows(db, caller, [{}] * 3)
    draw(db, clock, 1, 20)
    pause_batch(db, tenant=caller.tenant, batch_id=batch_id, actor=Actor("key", "fk_testkey"))
    found = find_batch(db, tenant=caller.tenant, name=str(batch_id))
    assert (found.status, found.pace.per_minute, found.pace.finish) == ("paused", 3, None)


def test_what_was_replaced_counts_no_more(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}] * 3)
    sql.execute("UPDATE jobs SET superseded = true WHERE row_no = 2")
    assert find_batch(db, tenant=caller.tenant, name=str(batch_id)).counts == {"queued": 2}
    (listed,) = list_batches(db, tenant=caller.tenant, wanted=LabelFilter())
    assert listed.counts == {"queued": 2}
