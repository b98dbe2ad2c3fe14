"""Equal orders: drawn once, delivered to all; and what becomes of them when that one picture comes to nothing."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.domain.status import Lane, Priority
from factory.errors import Conflict, Permanent
from factory.jobs.batch_order import BatchOrder
from factory.jobs.cancel import cancel_job
from factory.jobs.claim_job import claim_job
from factory.jobs.close_job import close_job
from factory.jobs.end_attempt import RetryRules, end_attempt
from factory.jobs.find_jobs import find_job
from factory.jobs.match_twins import Known, count_reused, known_specs, lock_twins
from factory.jobs.pause_batch import pause_batch
from factory.jobs.settle_twins import RECENT, Settled, settle_every_twin
from factory.jobs.submit_batch import submit_batch
from tests.integration.jobs.books import (
    LEASE,
    SHA,
    Clock,
    admitted,
    chain,
    count,
    finished,
    job_row,
    make_tenant,
    prepared,
    submit_rows,
    take,
)

CUP = {"prompt": "a cup", "seed": 1}
POT = {"prompt": "a pot", "seed": 1}


def rows_of(sql: psycopg.Connection, batch: uuid.UUID) -> list[dict[str, Any]]:
    ids = sql.execute("SELECT id FROM jobs WHERE batch_id = %s ORDER BY row_no, id", (batch,)).fetchall()
    return [job_row(sql, job_id) for (job_id,) in ids]


def draw(db: Database, **how: Any) -> uuid.UUID:
    claim = take(db, **how)
    close_job(db, claim, finished(claim))
    return claim.job_id


def draw_all(db: Database) -> int:
    drawn = 0
    while claim := claim_job(db, worker="w1", lease=LEASE):
        close_job(db, claim, finished(claim))
        drawn += 1
    return drawn


def no_chains(sql: psycopg.Connection) -> bool:
    found = sql.execute("SELECT count(*) FROM jobs AS a JOIN jobs AS b ON b.id = a.twin_id WHERE b.twin_id IS NOT NULL").fetchone()
    return found == (0,)


def test_equal_rows_of_one_order_are_drawn_once(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch = submit_rows(db, caller, [CUP, POT, CUP, CUP])
    first, pot, second, third = rows_of(sql, batch)
    assert (first["hold"], first["twin_id"], pot["hold"], pot["twin_id"]) == (None, None, None, None)
    assert [(row["hold"], row["twin_id"]) for row in (second, third)] == [("twin", first["id"])] * 2
    assert draw_all(db) == 2
    assert settle_every_twin(db) == Settled(delivered=2)
    assert [row["status"] for row in rows_of(sql, batch)] == ["succeeded"] * 4
    assert chain(sql, second["id"]) == [("job.submitted", None, "queued", 0), ("job.reused", "queued", "succeeded", 0)]
    assert sql.execute("SELECT count(*) FROM assets").fetchone() == (2,)
    with db.transaction() as session:
        reuse = count_reused(session, batch)
    assert reuse.reused == 2
    assert reuse.gpu_seconds == pytest.approx(2 * first["cost"])


def test_an_order_that_was_drawn_before_is_delivered_at_once(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    earlier = submit_rows(db, caller, [CUP, POT])
    draw_all(db)
    again = submit_rows(db, caller, [POT, CUP])
    rows = rows_of(sql, again)
    assert [row["status"] for row in rows] == ["succeeded"] * 2
    assert [row["twin_id"] for row in rows] == [row["id"] for row in reversed(rows_of(sql, earlier))]
    found = find_job(db, tenant=caller.tenant, name=str(rows[0]["id"]))
    assert found.asset is not None
    assert found.asset.job_id == rows[0]["twin_id"]


def test_nobody_sees_the_picture_before_the_job_has_it(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [CUP])
    draw_all(db)
    later = submit_rows(db, caller, [CUP], not_before=clock() + timedelta(hours=1))
    (row,) = rows_of(sql, later)
    assert (row["status"], row["hold"]) == ("queued", "twin")
    assert find_job(db, tenant=caller.tenant, name=str(row["id"])).asset is None
    assert settle_every_twin(db) == Settled()
    clock.advance(3601)
    assert settle_every_twin(db) == Settled(delivered=1)


def test_of_recent_pictures_only_those_are_delivered(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    old = submit_rows(db, caller, [CUP, CUP])
    draw_all(db)
    clock.advance(RECENT.total_seconds() + 1)
    new = submit_rows(db, caller, [POT, POT, {"prompt": "a jug", "seed": 1}])
    draw_all(db)
    assert settle_every_twin(db, recent=RECENT) == Settled(delivered=1)
    assert [row["status"] for row in rows_of(sql, new)] == ["succeeded"] * 3
    assert rows_of(sql, old)[1]["status"] == "queued"
    assert settle_every_twin(db) == Settled(delivered=1)


def test_a_twin_of_a_twin_names_the_one_that_was_drawn(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    first = rows_of(sql, submit_rows(db, caller, [CUP]))[0]["id"]
    for _ in range(3):
        (row,) = rows_of(sql, submit_rows(db, caller, [CUP]))
        assert row["twin_id"] == first
    assert draw(db) == first
    settle_every_twin(db)
    (row,) = rows_of(sql, submit_rows(db, caller, [CUP]))
    assert (row["status"], row["twin_id"]) == ("succeeded", first)
    assert no_chains(sql)


def test_reuse_can_be_switched_off(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [CUP])
    batch = submit_rows(db, caller, [CUP, CUP], reuse=False)
    assert [row["twin_id"] for row in rows_of(sql, batch)] == [None, None]
    assert draw_all(db) == 3


def test_another_tenants_picture_is_not_ours(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    other = Caller(tenant=f"t-{uuid.uuid4().hex[:12]}", name="fk_other")
    make_tenant(sql, other.tenant)
    submit_rows(db, caller, [CUP])
    draw_all(db)
    (row,) = rows_of(sql, submit_rows(db, other, [CUP]))
    assert (row["status"], row["twin_id"]) == ("queued", None)
    spec = admitted(**CUP).spec.sha256
    with db.transaction() as session:
        assert known_specs(session, db.now(), tenant=caller.tenant, specs=[spec]) == {spec: Known()}
        assert known_specs(session, db.now(), tenant="t-nobody", specs=[spec]) == {}


def test_an_order_knows_where_its_picture_is_to_come_from(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    def known() -> list[Known]:
        with db.transaction() as session:
            return list(known_specs(session, db.now(), tenant=caller.tenant, specs=[admitted(**CUP).spec.sha256]).values())

    assert known() == []
    submit_rows(db, caller, [CUP], priority=Priority.BULK)
    assert known() == [Known(Lane.BULK)]
    batch = submit_rows(db, caller, [CUP], priority=Priority.INTERACTIVE)
    assert known() == [Known(Lane.INTERACTIVE)]
    assert [Known(Lane.BULK).serves(lane) for lane in Lane] == [False, True, True]
    pause_batch(db, tenant=caller.tenant, batch_id=batch, actor=Actor("key", "k"))
    sql.execute("UPDATE jobs SET hold = 'capped' WHERE hold = 'paused'")
    assert known() == [Known(Lane.BULK)]
    claim = take(db)
    assert known() == [Known(begun=True)]
    close_job(db, claim, finished(claim))
    assert known() == [Known()]


def test_when_the_one_fails_one_of_the_others_is_drawn_for_all(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch = submit_rows(db, caller, [CUP, CUP, CUP, CUP])
    end_attempt(db, take(db), Permanent("no"), RetryRules())
    assert settle_every_twin(db) == Settled(released=1, moved=2)
    failed, heir, *others = rows_of(sql, batch)
    assert (failed["status"], heir["hold"], heir["twin_id"]) == ("failed", None, None)
    assert {row["twin_id"] for row in others} == {heir["id"]}
    assert draw_all(db) == 1
    assert settle_every_twin(db) == Settled(delivered=2)
    assert no_chains(sql)


def test_a_canceled_one_leaves_its_place_behind_the_marks(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch = submit_rows(db, caller, [CUP, CUP])
    first, second = rows_of(sql, batch)
    sql.execute(
        "INSERT INTO queue_marks VALUES ('bulk', '', '', 900, 0, NULL) ON CONFLICT (lane, checkpoint, tenant) DO UPDATE SET low = 900"
    )
    with db.transaction() as session:
        cancel_job(session, db.now(), tenant=caller.tenant, job_id=first["id"], actor=caller.actor)
    assert settle_every_twin(db) == Settled(released=1)
    assert job_row(sql, second["id"])["vft"] >= 900
    assert draw(db) == second["id"]


def test_a_released_twin_of_a_paused_batch_stays_held(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch = submit_rows(db, caller, [CUP, CUP])
    first, second = rows_of(sql, batch)
    pause_batch(db, tenant=caller.tenant, batch_id=batch, actor=caller.actor)
    with db.transaction() as session:
        cancel_job(session, db.now(), tenant=caller.tenant, job_id=first["id"], actor=caller.actor)
    settle_every_twin(db)
    assert (job_row(sql, second["id"])["hold"], job_row(sql, second["id"])["twin_id"]) == ("paused", None)
    assert claim_job(db, worker="w1", lease=LEASE) is None


def test_nobody_waits_for_a_picture_that_another_order_has_paused(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    paused = submit_rows(db, caller, [CUP])
    (mine,) = rows_of(sql, submit_rows(db, caller, [CUP]))
    assert mine["hold"] == "twin"
    pause_batch(db, tenant=caller.tenant, batch_id=paused, actor=caller.actor)
    assert settle_every_twin(db) == Settled(released=1)
    assert draw(db) == mine["id"]


def test_nobody_waits_for_a_slower_lane(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [{**CUP, "priority": "offpeak"}])
    (quick,) = rows_of(sql, submit_rows(db, caller, [{**CUP, "priority": "interactive"}]))
    assert quick["twin_id"] is None
    batch = submit_rows(db, caller, [{**POT, "priority": "offpeak"}, {**POT, "priority": "bulk"}])
    slow, soon = rows_of(sql, batch)
    assert (slow["twin_id"], soon["twin_id"]) == (soon["id"], None)


def test_a_picture_whose_file_is_gone_is_drawn_anew(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [CUP])
    draw_all(db)
    sql.execute("UPDATE assets SET deleted_at = created_at")
    (row,) = rows_of(sql, submit_rows(db, caller, [CUP]))
    assert (row["status"], row["twin_id"]) == ("queued", None)


def test_two_equal_orders_at_once_are_drawn_once(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    orders = [{"prompt": f"cup {number}", "seed": 1} for number in range(40)]
    with ThreadPoolExecutor(4) as threads:
        batches = list(threads.map(lambda _: submit_rows(db, caller, orders), range(4)))
    drawn = [row for batch in batches for row in rows_of(sql, batch) if row["twin_id"] is None]
    assert len(drawn) == 40
    assert draw_all(db) == 40
    assert settle_every_twin(db).delivered == 120
    assert no_chains(sql)


def test_settling_at_once_in_many_places_settles_each_once(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch = submit_rows(db, caller, [CUP] * 30)
    draw_all(db)
    with ThreadPoolExecutor(4) as threads:
        settled = list(threads.map(lambda _: settle_every_twin(db), range(4)))
    assert sum(each.delivered for each in settled) + settle_every_twin(db).delivered == 29
    assert sql.execute("SELECT count(*) FROM audit_events WHERE action = 'job.reused'").fetchone() == (29,)
    assert {row["status"] for row in rows_of(sql, batch)} == {"succeeded"}


def test_a_short_order_that_waits_too_long_is_told_to_come_back(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    def order() -> None:
        with db.transaction() as session:
            session.execute(text("SET LOCAL lock_timeout = '100ms'"))
            submit_batch(session, db.now(), caller, BatchOrder(project="spring"), prepared([CUP]), request_sha256=SHA)

    with db.transaction() as large:
        lock_twins(large, caller.tenant)
        with pytest.raises(Conflict) as told:
            order()
    assert told.value.code == "request_in_flight"
    mine = f"WHERE tenant = '{caller.tenant}'"
    assert (count(sql, f"jobs {mine}"), count(sql, f"name_counters {mine}")) == (0, 0)
    order()
