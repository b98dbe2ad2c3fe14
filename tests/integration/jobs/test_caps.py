"""Caps on what waits and is in work: strict, per tenant and per user, whoever claims, orders or lets go at the same moment."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.domain.status import Lane
from factory.errors import Invalid, NotFound
from factory.jobs.allowances import Grant, allowance_of, list_allowances, set_allowance
from factory.jobs.claim_job import claim_job
from factory.jobs.close_job import close_job
from factory.jobs.lanes import pause_lane, resume_lane
from factory.jobs.release_held import release_held
from tests.integration.jobs.books import LEASE, Books, count, finished, job_row, submit, submit_rows, take

OPERATOR = Actor("operator", "test")
OPEN = "(status = 'running' OR (status = 'queued' AND hold IS NULL))"


def allow(db: Database, caller: Caller, member: str = "", **limits: Any) -> None:
    set_allowance(db, tenant=caller.tenant, member=member, grant=Grant(**limits), actor=OPERATOR)


def offered(sql: psycopg.Connection, where: str = "true") -> int:
    return count(sql, f"jobs WHERE {OPEN} AND {where}")


def test_no_more_wait_or_run_than_the_cap_allows(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    allow(db, caller, max_running=3)
    submit_rows(db, caller, [{"sku": f"S{n}", "seed": n} for n in range(10)])
    assert (offered(sql), count(sql, "jobs WHERE hold = 'capped'")) == (3, 7)
    claims = [take(db) for _ in range(3)]
    assert [claim.sku for claim in claims] == ["S0", "S1", "S2"]
    assert claim_job(db, worker="w1", lease=LEASE) is None
    assert release_held(db).capped == 0
    close_job(db, claims[0], finished(claims[0]))
    assert release_held(db).capped == 1
    assert take(db).sku == "S3"


def test_a_tenant_without_a_cap_is_left_alone(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    allow(db, caller, weight=2.0, max_queued=5)
    submit_rows(db, caller, [{"seed": n} for n in range(5)])
    assert offered(sql) == 5


def test_strict_under_four_claimers(db: Database, caller: Caller, sql: psycopg.Connection, books: Books) -> None:
    allow(db, caller, max_running=3)
    submit_rows(db, caller, [{"seed": n} for n in range(60)])
    done = threading.Event()
    most: list[int] = []

    def watch() -> None:
        with psycopg.connect(books.owner_dsn, autocommit=True) as own:
            while not done.is_set():
                most.append(offered(own))

    def work(worker: str) -> int:
        drawn = idle = 0
        while idle < 20:
            claim = claim_job(db, worker=worker, lease=LEASE)
            if claim is None:
                idle += not release_held(db).capped
                continue
            idle = 0
            close_job(db, claim, finished(claim))
            drawn += 1
        return drawn

    with ThreadPoolExecutor(5) as pool:
        watcher = pool.submit(watch)
        drawn = sum(pool.map(work, [f"w{n}" for n in range(4)]))
        done.set()
        watcher.result()
    while claim := claim_job(db, worker="w1", lease=LEASE) if release_held(db).capped or offered(sql) else None:
        close_job(db, claim, finished(claim))
        drawn += 1
    assert drawn == 60
    assert max(most) <= 3
    assert count(sql, "jobs WHERE status = 'succeeded'") == 60


def test_strict_when_four_order_at_once(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    allow(db, caller, max_running=3)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: submit(db, caller, seed=n), range(20)))
    assert (offered(sql), count(sql, "jobs")) == (3, 20)


def test_a_user_has_a_cap_beside_the_tenants(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    allow(db, caller, max_running=4)
    allow(db, caller, "ana", max_running=1)
    submit_rows(db, caller, [{"seed": n, "user": "ana"} for n in range(3)])
    submit_rows(db, caller, [{"seed": n + 9, "user": "bo"} for n in range(6)])
    assert (offered(sql, "end_user = 'ana'"), offered(sql)) == (1, 4)
    while claim := claim_job(db, worker="w1", lease=LEASE):
        assert offered(sql, "end_user = 'ana'") <= 1
        assert offered(sql) <= 4
        close_job(db, claim, finished(claim))
        release_held(db)
    assert count(sql, "jobs WHERE status = 'succeeded'") == 9


def test_one_users_full_cap_holds_nobody_else_back(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    allow(db, caller, "ana", max_running=0)
    for first, user in ((0, "ana"), (9, "bo")):
        submit_rows(db, caller, [{"seed": first + n, "user": user} for n in range(5)])
    assert (offered(sql, "end_user = 'ana'"), offered(sql, "end_user = 'bo'")) == (0, 5)


def test_a_click_takes_the_place_of_a_row_that_nobody_works_on(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    allow(db, caller, max_running=2)
    submit_rows(db, caller, [{"seed": n} for n in range(5)])
    take(db)
    click = submit(db, caller, seed=99)
    assert (job_row(sql, click)["hold"], offered(sql)) == (None, 2)
    assert take(db).job_id == click


def test_users_take_turns_in_the_line_of_a_cap(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    allow(db, caller, max_running=1)
    submit_rows(db, caller, [{"seed": n, "user": "ana"} for n in range(5)])
    sql.execute("UPDATE jobs SET turn = row_no, vft = row_no")
    claim = take(db)
    late = submit_rows(db, caller, [{"seed": 50, "user": "bo"}])
    sql.execute("UPDATE jobs SET turn = 1.5, vft = 1000 WHERE batch_id = %s", (late,))
    sql.execute("INSERT INTO queue_marks VALUES ('bulk', '', '', 1, 1, NULL) ON CONFLICT (lane, checkpoint, tenant) DO UPDATE SET low = 1")
    close_job(db, claim, finished(claim))
    assert release_held(db).capped == 1
    row = sql.execute("SELECT end_user, vft FROM jobs WHERE status = 'queued' AND hold IS NULL").fetchone()
    assert row is not None
    assert row[0] == "bo"
    assert row[1] < 1000  # the places belong to the tenant: it need not stand behind all of ana's


def test_a_changed_cap_works_at_once(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [{"seed": n} for n in range(10)])
    for cap in (4, 1, 6, 0):
        allow(db, caller, max_running=cap)
        assert offered(sql) == cap
    allow(db, caller, max_running=2)
    claimed = take(db)
    allow(db, caller, max_running=1)
    assert (offered(sql), job_row(sql, claimed.job_id)["status"]) == (1, "running")
    allow(db, caller)
    assert offered(sql) == 10
    assert count(sql, "audit_events WHERE action = 'allowance.set'") == 7


def test_a_cap_that_was_taken_away_beside_us_is_noticed(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    allow(db, caller, max_running=1)
    submit_rows(db, caller, [{"seed": n} for n in range(5)])
    sql.execute("DELETE FROM allowances")
    assert release_held(db).capped == 4
    assert offered(sql) == 5


def test_rows_of_a_lane_that_is_closed_block_no_other(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    allow(db, caller, max_running=2)
    submit_rows(db, caller, [{"seed": n, "priority": "offpeak"} for n in range(3)])
    assert offered(sql, "lane = 'offpeak'") == 2
    submit_rows(db, caller, [{"seed": n + 9} for n in range(3)])
    release_held(db, closed=(Lane.OFFPEAK,))
    assert (offered(sql, "lane = 'bulk'"), offered(sql)) == (2, 2)
    pause_lane(db, lane=Lane.BULK, actor=OPERATOR)
    release_held(db)
    assert offered(sql, "lane = 'offpeak'") == 2
    resume_lane(db, lane=Lane.BULK, actor=OPERATOR)
    assert offered(sql) == 2


def test_rows_of_a_closed_lane_take_no_place_of_a_user_with_a_cap(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    allow(db, caller, "ana", max_running=1)
    submit_rows(db, caller, [{"seed": n, "user": ("ana", "bo")[n % 2], "priority": "offpeak"} for n in range(4)])
    submit_rows(db, caller, [{"seed": 9, "user": "ana"}])
    release_held(db, closed=(Lane.OFFPEAK,))
    assert (offered(sql, "lane = 'bulk' AND end_user = 'ana'"), offered(sql, "end_user = 'ana'")) == (1, 1)
    assert offered(sql, "end_user = 'bo'") == 2
    pause_lane(db, lane=Lane.BULK, actor=OPERATOR)
    release_held(db)
    assert (offered(sql, "lane = 'offpeak' AND end_user = 'ana'"), offered(sql, "end_user = 'ana'")) == (1, 1)


def test_what_did_not_see_the_first_cap_is_held_by_upkeep(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [{"seed": n} for n in range(4)])
    sql.execute("INSERT INTO allowances VALUES (%s, '', 1, 1, NULL)", (caller.tenant,))
    assert offered(sql) == 4
    release_held(db)
    assert offered(sql) == 1


def test_rows_of_a_paused_batch_are_not_let_go_by_a_cap(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    allow(db, caller, max_running=1)
    batch = submit_rows(db, caller, [{"seed": n} for n in range(3)])
    claim = take(db)
    sql.execute("UPDATE batches SET paused_at = now() WHERE id = %s", (batch,))
    close_job(db, claim, finished(claim))
    assert release_held(db).capped == 0
    sql.execute("UPDATE batches SET paused_at = NULL")
    assert release_held(db).capped == 1


def test_what_comes_due_joins_the_line_of_the_cap(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    allow(db, caller, max_running=2)
    submit_rows(db, caller, [{"seed": n} for n in range(5)])
    sql.execute("UPDATE jobs SET hold = 'scheduled', not_before = '2020-01-01'")
    released = release_held(db)
    assert (released.due, released.capped, offered(sql)) == (5, 2, 2)


def test_allowances_are_listed_logged_and_checked(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    assert allowance_of(db, tenant=caller.tenant).weight == 1
    allow(db, caller, "ana", weight=0.5, max_queued=3)
    allow(db, caller, weight=2.0)
    assert [(row.member, row.weight) for row in list_allowances(db, tenant=caller.tenant)] == [("", 2.0), ("ana", 0.5)]
    detail = sql.execute("SELECT actor, detail FROM audit_events WHERE action = 'allowance.set' ORDER BY id").fetchall()
    assert detail[0] == ("test", {"user": "ana", "weight": 0.5, "max_running": None, "max_queued": 3})
    for wrong in ({"weight": 0.0}, {"weight": float("nan")}, {"max_running": -1}, {"max_queued": 2**31}):
        with pytest.raises(Invalid) as refused:
            allow(db, caller, **wrong)
        assert refused.value.problems[0].pointer == f"/{next(iter(wrong))}"
    with pytest.raises(NotFound):
        set_allowance(db, tenant=f"no-{uuid.uuid4().hex[:8]}", grant=Grant(), actor=OPERATOR)
