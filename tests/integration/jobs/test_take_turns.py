"""Orders of one user take turns: which of them the next claims serve."""

from __future__ import annotations

import importlib
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from factory.db import Database
from factory.domain.caller import Caller
from factory.domain.status import Priority
from factory.jobs import take_turns
from factory.jobs.batch_order import BatchOrder
from factory.jobs.close_job import close_job
from factory.jobs.extend_batch import extend_batch
from factory.jobs.open_order import find_open_order
from factory.jobs.pause_batch import pause_batch
from factory.jobs.release_held import release_held
from factory.jobs.reprioritise import reprioritise_batch
from tests.integration.jobs.books import Clock, allow, finished, make_tenant, prepared, register, settle, submit, submit_rows, take

submit_batch = importlib.import_module("factory.jobs.submit_batch")


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


def test_rows_of_several_priorities_get_a_place_each(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    ana = submit_rows(db, caller, [{}] * 200, user="ana")
    ben = submit_rows(db, caller, [{}] * 200, user="ben")
    before = turns(sql)
    more = submit_rows(db, caller, [{"priority": ("bulk", "standard")[n % 2]} for n in range(100)], user="ana")
    assert set(before) <= set(turns(sql)), "no place is given twice"
    found = Counter(served(db, 200))
    assert (found[ben], found[ana] + found[more]) == pytest.approx((100, 100), abs=2)


def test_of_an_order_that_is_extended_only_the_new_rows_take_turns(
    db: Database, caller: Caller, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """Or each extension by one row would move rows that stand behind on purpose."""
    monkeypatch.setattr(take_turns, "MOST", 5)
    submit_rows(db, caller, [{}] * 60)
    order = submit_rows(db, caller, [{}] * 30)
    before: dict[uuid.UUID, float] = dict(sql.execute("SELECT id, turn FROM jobs").fetchall())
    clock.advance(1)
    extend(db, caller, order, [{}] * 2)
    moved = [job for job, turn in sql.execute("SELECT id, turn FROM jobs").fetchall() if before.get(job, turn) != turn]
    of_order = {row[0] for row in sql.execute("SELECT id FROM jobs WHERE batch_id = %s", (order,)).fetchall()}
    assert len(moved) == 2
    assert not of_order & set(moved)


@pytest.mark.parametrize("verb", ["pause", "priority"])
def test_steering_misses_no_row_that_gives_up_its_place(
    db: Database, caller: Caller, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """An order holds the rows of others until it is committed."""
    long = submit_rows(db, caller, [{}] * 100)
    held, log_event = threading.Event(), submit_batch.log_event

    def slowly(*args: Any, **kwargs: Any) -> None:
        held.set()
        time.sleep(0.5)
        log_event(*args, **kwargs)

    monkeypatch.setattr(submit_batch, "log_event", slowly)
    with ThreadPoolExecutor(1) as pool:
        short = pool.submit(submit_rows, db, caller, [{}] * 40)
        assert held.wait(10)
        if verb == "pause":
            assert pause_batch(db, tenant=caller.tenant, batch_id=long, actor=caller.actor) == 100
        else:
            moved = reprioritise_batch(db, tenant=caller.tenant, batch_id=long, priority=Priority.OFFPEAK, actor=caller.actor)
            assert moved == 100
        short.result()


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


def extend(db: Database, caller: Caller, batch_id: uuid.UUID, rows: list[dict[str, Any]]) -> None:
    order = find_open_order(db, tenant=caller.tenant, name=str(batch_id))
    more = prepared(rows)
    with db.transaction() as session:
        extend_batch(session, db.now(), caller, order, BatchOrder("spring"), more)


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
