"""explain: the true reasons, the true place, and a way out, for every state that a job can be in."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.domain.status import Lane
from factory.errors import NotFound, OutOfVram, Permanent
from factory.jobs import place_in_line
from factory.jobs.allowances import Grant, set_allowance
from factory.jobs.close_job import close_job
from factory.jobs.end_attempt import RetryRules, end_attempt
from factory.jobs.explain import Explanation, explain
from factory.jobs.lanes import pause_lane
from tests.integration.jobs.books import NOON, Clock, finished, make_tenant, submit, submit_rows, take

OPERATOR = Actor("operator", "ops")


def worker(sql: psycopg.Connection, name: str = "w1", resident: str = "{default}", since_swap: int = 0) -> None:
    sql.execute("INSERT INTO gpu_workers VALUES (%s, %s, '', %s, %s, %s)", (name, resident, since_swap, NOON, NOON))


def why(db: Database, caller: Caller, job_id: uuid.UUID, **how: Any) -> Explanation:
    return explain(db, tenant=caller.tenant, name=str(job_id), **how)


def codes(found: Explanation) -> list[str]:
    return [reason.code for reason in found.reasons]


def rows_of(sql: psycopg.Connection, batch: uuid.UUID) -> list[uuid.UUID]:
    return [row[0] for row in sql.execute("SELECT id FROM jobs WHERE batch_id = %s ORDER BY row_no", (batch,))]


def test_ended_and_in_work(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    first, second = submit(db, caller, external_id="mine"), submit(db, caller)
    claim = take(db)
    running = explain(db, tenant=caller.tenant, name="mine")
    assert (claim.job_id, codes(running), running.position) == (first, ["running"], None)
    assert "w1" in running.reasons[0].message
    close_job(db, claim, finished(claim))
    assert (codes(why(db, caller, first)), why(db, caller, first).reasons[0].change) == (["ended"], None)
    end_attempt(db, take(db), Permanent("it cannot be drawn"), RetryRules())
    failed = why(db, caller, second)
    assert "it cannot be drawn" in failed.reasons[0].message
    assert failed.reasons[0].change


def test_what_belongs_to_others_does_not_exist(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    make_tenant(sql, "stranger")
    job_id = submit(db, caller)
    with pytest.raises(NotFound):
        explain(db, tenant="stranger", name=str(job_id))


def test_a_free_queue(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    worker(sql)
    found = why(db, caller, submit(db, caller))
    assert (codes(found), found.position, found.more) == (["next"], 1, False)
    assert found.seconds is not None
    assert found.seconds[0] == 0


def test_the_place_counts_what_goes_first(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    worker(sql)
    rows = rows_of(sql, submit_rows(db, caller, [{"seed": n} for n in range(20)]))
    clicks = [submit(db, caller, seed=n) for n in range(3)]
    sql.execute("UPDATE jobs SET cost = 2")
    last = why(db, caller, rows[-1])
    assert (last.position, codes(last)) == (23, ["in_line"])
    assert "22 jobs go before it" in last.reasons[0].message
    assert last.reasons[0].change == "as interactive it would be after 3 others"
    assert last.seconds == (38, 46)
    assert why(db, caller, clicks[0]).position == 1
    assert why(db, caller, rows[0]).position == 4
    worker(sql, "w2")
    assert why(db, caller, rows[-1]).seconds == (19, 24)


def test_users_of_a_tenant_take_turns(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    worker(sql)
    submit_rows(db, caller, [{"seed": n, "user": "ana"} for n in range(10)])
    (late,) = rows_of(sql, submit_rows(db, caller, [{"seed": 99, "user": "bo"}]))
    sql.execute("UPDATE jobs SET turn = row_no + 1, vft = row_no")
    sql.execute("UPDATE jobs SET turn = 2.5, vft = 100 WHERE id = %s", (late,))
    assert why(db, caller, late).position == 2


def test_a_long_line_is_not_counted_to_its_end(
    db: Database, caller: Caller, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place_in_line, "COUNTED", 5)
    worker(sql)
    rows = rows_of(sql, submit_rows(db, caller, [{"seed": n} for n in range(12)]))
    found = why(db, caller, rows[-1])
    assert (found.position, found.more, found.seconds) == (6, True, None)
    assert "more than 5" in found.reasons[0].message
    assert why(db, caller, rows[3]).position == 4


def test_nobody_to_draw_it(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    job_id = submit(db, caller)
    assert codes(why(db, caller, job_id))[0] == "no_worker"
    worker(sql)
    assert codes(why(db, caller, job_id)) == ["next"]
    clock.advance(61)
    gone = why(db, caller, job_id)
    assert (codes(gone)[0], gone.seconds) == ("no_worker", None)
    assert codes(why(db, caller, job_id, silence=timedelta(seconds=90))) == ["next"]


def test_a_checkpoint_that_nobody_has_loaded(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    worker(sql, since_swap=12)
    job_id = submit(db, caller, model="other", priority="bulk")
    clock.advance(40)
    found = why(db, caller, job_id)
    assert codes(found) == ["checkpoint_not_loaded", "next"]
    assert "(now 12)" in found.reasons[0].message
    assert "(now 40)" in found.reasons[0].message
    assert "default" in (found.reasons[0].change or "")


def test_a_closed_lane_and_one_outside_its_hours(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    worker(sql)
    bulk, night = submit(db, caller, priority="bulk"), submit(db, caller, priority="offpeak")
    pause_lane(db, lane=Lane.BULK, actor=OPERATOR)
    closed = why(db, caller, bulk)
    assert (codes(closed), closed.seconds) == (["lane_paused", "next"], None)
    assert closed.reasons[0].change == "an operator runs `factory queue resume bulk`"
    evening = NOON + timedelta(hours=10)
    late = why(db, caller, night, opens_at=lambda lane, _: evening if lane is Lane.OFFPEAK else None)
    assert codes(late) == ["outside_window", "next"]
    assert late.seconds is not None
    assert late.seconds[0] == 36_000
    assert evening.isoformat() in (late.reasons[0].change or "")


def test_a_job_that_failed_in_passing(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    worker(sql)
    job_id = submit(db, caller)
    end_attempt(db, take(db), OutOfVram(), RetryRules())
    sql.execute("UPDATE jobs SET not_before = %s", (NOON + timedelta(seconds=20),))
    found = why(db, caller, job_id)
    assert codes(found)[:2] == ["backoff", "worker_avoided"]
    assert "out_of_vram" in found.reasons[0].message
    assert found.reasons[1].change
    worker(sql, "w2")
    assert why(db, caller, job_id).reasons[1].change is None


def test_every_hold_has_its_way_out(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    worker(sql)
    scheduled = why(db, caller, submit(db, caller, not_before=(NOON + timedelta(hours=1)).isoformat()))
    assert (codes(scheduled), scheduled.position, scheduled.seconds) == (["scheduled"], None, None)
    batch = submit_rows(db, caller, [{"seed": 70}])
    (row,) = rows_of(sql, batch)
    sql.execute("UPDATE jobs SET hold = 'paused' WHERE id = %s", (row,))
    sql.execute("UPDATE batches SET paused_at = %s WHERE id = %s", (NOON, batch))
    paused = why(db, caller, row)
    assert (codes(paused), paused.reasons[0].change) == (["paused"], f"POST /api/v1/batches/{batch}/resume")
    original = submit(db, caller, seed=71)
    twin = submit(db, caller, seed=71)
    sql.execute("UPDATE jobs SET hold = 'twin', twin_id = %s WHERE id = %s", (original, twin))
    same = why(db, caller, twin)
    assert codes(same) == ["twin"]
    assert str(original) in same.reasons[0].message


def test_a_cap_is_named_with_its_owner(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    worker(sql)
    set_allowance(db, tenant=caller.tenant, grant=Grant(max_running=2), actor=OPERATOR)
    rows = rows_of(sql, submit_rows(db, caller, [{"seed": n} for n in range(6)]))
    fourth = why(db, caller, rows[4])
    assert codes(fourth) == ["capped"]
    assert "your tenant may have 2 pictures" in fourth.reasons[0].message
    assert "2 of yours are let go before it" in fourth.reasons[0].message
    assert f"factory queue allow {caller.tenant} --max-running" in (fourth.reasons[0].change or "")
    assert "first to be let go" in why(db, caller, rows[2]).reasons[0].message
    set_allowance(db, tenant=caller.tenant, grant=Grant(), actor=OPERATOR)
    set_allowance(db, tenant=caller.tenant, member="ana", grant=Grant(max_running=0), actor=OPERATOR)
    (held,) = rows_of(sql, submit_rows(db, caller, [{"seed": 50, "user": "ana"}]))
    theirs = why(db, caller, held)
    assert "user ana may have 0 pictures" in theirs.reasons[0].message
    assert "--user ana" in (theirs.reasons[0].change or "")


def test_a_twin_that_was_ordered_for_later_never_failed(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    worker(sql)
    submit_rows(db, caller, [{"seed": 7}])
    batch = submit_rows(db, caller, [{"seed": 7}], not_before=NOON + timedelta(hours=1))
    (twin,) = rows_of(sql, batch)
    assert codes(why(db, caller, twin)) == ["twin", "scheduled"]
    sql.execute("UPDATE batches SET paused_at = %s WHERE id = %s", (NOON, batch))
    paused = why(db, caller, twin)
    assert codes(paused) == ["twin", "scheduled", "paused"]
    assert ("does not keep it" in paused.reasons[2].message, paused.reasons[2].change) == (True, None)


@pytest.mark.parametrize("hold", ["scheduled", "capped"])
def test_a_pause_is_named_beside_another_hold(hold: str, db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    worker(sql)
    batch = submit_rows(db, caller, [{"seed": 7}], not_before=NOON + timedelta(hours=1) if hold == "scheduled" else None)
    (row,) = rows_of(sql, batch)
    sql.execute("UPDATE jobs SET hold = %s WHERE id = %s", (hold, row))
    assert codes(why(db, caller, row)) == [hold]
    sql.execute("UPDATE batches SET paused_at = %s WHERE id = %s", (NOON, batch))
    found = why(db, caller, row)
    assert (codes(found), found.reasons[1].change) == ([hold, "paused"], f"POST /api/v1/batches/{batch}/resume")
