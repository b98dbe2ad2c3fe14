"""Orders of one user take turns: which of them the next claims serve."""

from __future__ import annotations

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from factory.db import Database
from factory.domain.caller import Caller
from factory.domain.status import Priority
from factory.jobs import take_turns
from factory.jobs.close_job import close_job
from factory.jobs.release_held import release_held
from tests.integration.jobs.books import allow, finished, make_tenant, register, settle, submit, submit_rows, take


def served(db: Database, count: int) -> list[uuid.UUID | None]:
    """The orders that the next claims serve."""
    return [take(db).batch_id for _ in range(count)]


def turns(sql: psycopg.Connection) -> list[float]:
    return [row[0] for row in sql.execute("SELECT turn FROM jobs ORDER BY turn").fetchall()]


def test_a_short_order_does_not_wait_for_a_long_one_of_the_same_user(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    long = submit_rows(db, caller, [{}] * 300)
    before = turns(sql)
    short = submit_rows(db, caller, [{}] * 10)
    assert turns(sql)[: len(before)] == before, "the user's places stay as they are"
    assert len(set(turns(sql))) == 310
    assert served(db, 20) == [long, short] * 10
    assert set(served(db, 290)) == {long}


def test_three_orders_get_a_third_each(db: Database, caller: Caller) -> None:
    orders = [submit_rows(db, caller, [{}] * 60) for _ in range(3)]
    assert Counter(served(db, 60)) == pytest.approx(dict.fromkeys(orders, 20), abs=1)


def test_standard_goes_before_bulk_of_the_same_user(db: Database, caller: Caller) -> None:
    bulk = submit_rows(db, caller, [{}] * 100)
    urgent = submit_rows(db, caller, [{}] * 40, priority=Priority.STANDARD)
    assert Counter(served(db, 50)) == {urgent: 40, bulk: 10}


def test_bulk_waits_longer_behind_standard(db: Database, caller: Caller) -> None:
    urgent = submit_rows(db, caller, [{}] * 100, priority=Priority.STANDARD)
    bulk = submit_rows(db, caller, [{}] * 40)
    assert Counter(served(db, 50)) == {urgent: 40, bulk: 10}


def test_another_user_and_another_tenant_do_not_notice(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    make_tenant(sql, "neighbour")
    ana = submit_rows(db, caller, [{}] * 60, user="ana")
    ben = submit_rows(db, caller, [{}] * 60, user="ben")
    theirs = submit_rows(db, Caller(tenant="neighbour", name="fk_other"), [{}] * 60)
    more = submit_rows(db, caller, [{}] * 60, user="ana")
    found = Counter(served(db, 80))
    assert found == pytest.approx({theirs: 40, ben: 20, ana: 10, more: 10}, abs=1)


def test_each_checkpoint_is_its_own_line(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    register(sql, "default", "other")
    submit_rows(db, caller, [{"model": "other"}] * 40)
    submit_rows(db, caller, [{}] * 40)
    before = turns(sql)
    submit_rows(db, caller, [{"model": "other"}] * 10)
    assert turns(sql)[: len(before)] == before
    places = sql.execute(
        "SELECT count(*) FROM jobs WHERE checkpoint = 'other' AND turn > (SELECT max(turn) FROM jobs WHERE checkpoint <> 'other')"
    )
    assert places.fetchone() == (10,), "ten rows of the first order gave their places away"


def test_only_the_first_rows_of_a_long_order_take_turns(db: Database, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(take_turns, "MOST", 5)
    first, second = (submit_rows(db, caller, [{}] * 20) for _ in range(2))
    assert served(db, 25) == [first, second] * 5 + [first] * 15


def test_single_jobs_count_as_one_order(db: Database, caller: Caller) -> None:
    for _ in range(10):
        submit(db, caller, priority="bulk")
    order = submit_rows(db, caller, [{}] * 5)
    assert served(db, 10) == [None, order] * 5


def test_what_a_worker_has_taken_gives_no_place(db: Database, caller: Caller) -> None:
    first = submit_rows(db, caller, [{}] * 6)
    assert served(db, 4) == [first] * 4
    second = submit_rows(db, caller, [{}] * 2)
    assert served(db, 4) == [first, second] * 2


def test_what_a_cap_holds_takes_turns_too(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    """Also where the mark has risen beyond the place of a row that is held."""
    register(sql, "default")
    allow(sql, caller.tenant, max_running=2)
    long = submit_rows(db, caller, [{}] * 40)
    for _ in range(6):
        close(db)
        settle(db)
    short = submit_rows(db, caller, [{}] * 8)
    found = []
    for _ in range(20):
        found.append(close(db))
        settle(db)
    assert found.count(short) == 8
    assert found.count(long) == 12


def close(db: Database) -> uuid.UUID | None:
    """One picture is drawn, and the next rows are let go."""
    claim = take(db)
    close_job(db, claim, finished(claim))
    release_held(db)
    return claim.batch_id


def test_orders_that_come_while_workers_claim_lose_no_row(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [{}] * 200)
    with ThreadPoolExecutor(6) as pool:
        orders = [pool.submit(submit_rows, db, caller, [{}] * 50) for _ in range(3)]
        claims = [claim for one in [pool.submit(lambda: [take(db) for _ in range(60)]) for _ in range(3)] for claim in one.result()]
        for order in orders:
            order.result()
    rest = [take(db) for _ in range(170)]
    assert len({claim.job_id for claim in (*claims, *rest)}) == 350
    assert sql.execute("SELECT count(*) FROM jobs WHERE status = 'queued'").fetchone() == (0,)
