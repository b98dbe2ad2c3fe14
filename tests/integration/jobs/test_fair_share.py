"""Fair share: who gets how much of the GPUs, counted in the claims that follow."""

from __future__ import annotations

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.domain.status import Priority
from factory.jobs.close_job import close_job
from factory.jobs.learn_speeds import learn_speeds
from factory.jobs.new_job import SHORT_ORDER
from factory.jobs.shares import MEMBERS, Kind, count_kinds
from tests.integration.canceling import cancel_batch
from tests.integration.jobs.books import allow, finished, job_row, make_tenant, register, settle, submit, submit_rows, take

SMALL = Caller(tenant="small", name="fk_small")


@pytest.fixture
def small(sql: psycopg.Connection) -> Caller:
    """A second tenant."""
    make_tenant(sql, "small")
    return SMALL


def taken(db: Database, count: int) -> Counter[str]:
    """How many of the next claims each tenant gets."""
    return Counter(take(db).tenant for _ in range(count))


def test_a_small_order_is_not_moved_by_a_neighbour_thirty_times_as_large(db: Database, caller: Caller, small: Caller) -> None:
    submit_rows(db, caller, [{}] * 300)
    submit_rows(db, small, [{}] * 10)
    assert taken(db, 20)["small"] == 10


def test_shares_go_by_weight(db: Database, caller: Caller, small: Caller, sql: psycopg.Connection) -> None:
    allow(sql, caller.tenant, weight=3.0)
    submit_rows(db, caller, [{}] * 60)
    submit_rows(db, small, [{}] * 60)
    assert taken(db, 40) == {caller.tenant: 30, "small": 10}


def test_standard_has_four_times_the_weight_of_bulk(db: Database, caller: Caller, small: Caller) -> None:
    submit_rows(db, caller, [{}] * 40)
    submit_rows(db, small, [{"priority": "standard"}] * 60)
    assert taken(db, 50) == {caller.tenant: 10, "small": 40}


def test_shares_are_gpu_seconds_not_pictures(db: Database, caller: Caller, small: Caller) -> None:
    submit_rows(db, caller, [{"size": "1024x1024"}] * 20)
    submit_rows(db, small, [{"size": "512x512"}] * 60)
    assert taken(db, 50) == {caller.tenant: 10, "small": 40}


def test_users_share_by_their_weights(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    allow(sql, caller.tenant, "ana", weight=3.0)
    for user in ("ana", "ben"):
        submit_rows(db, caller, [{"user": user}] * 40)
    users: dict[uuid.UUID, str] = dict(sql.execute("SELECT id, end_user FROM jobs").fetchall())
    assert Counter(users[take(db).job_id] for _ in range(20)) == {"ana": 15, "ben": 5}


def test_who_was_away_gets_no_credit_for_it(db: Database, caller: Caller, small: Caller, sql: psycopg.Connection) -> None:
    register(sql, "default")
    submit_rows(db, caller, [{}] * 100)
    taken(db, 50)
    settle(db)
    submit_rows(db, small, [{}] * 40)
    assert taken(db, 20)["small"] == pytest.approx(10, abs=1)


def test_an_order_that_was_canceled_does_not_count(db: Database, caller: Caller, small: Caller) -> None:
    mistake = submit_rows(db, caller, [{}] * 200)
    with_operator = Actor("operator", "test")
    cancel_batch(db, tenant=caller.tenant, batch_id=mistake, actor=with_operator)
    submit_rows(db, small, [{}] * 20)
    submit_rows(db, caller, [{}] * 20)
    assert taken(db, 20) == {caller.tenant: 10, "small": 10}


def test_one_picture_after_the_other_gets_no_more_than_its_share(db: Database, caller: Caller, small: Caller) -> None:
    """Work in hand counts: asking anew each time is no way to the front."""
    submit_rows(db, caller, [{}] * 20)
    order = []
    for _ in range(10):
        submit(db, small, priority="bulk")
        order.append(take(db).tenant)
    assert order.count("small") <= 6


def test_two_long_orders_at_once_stand_behind_one_another(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda project: submit_rows(db, caller, [{}] * (SHORT_ORDER + 1), project=project), ("spring", "autumn")))
    assert sql.execute("SELECT count(DISTINCT vft), count(DISTINCT turn) FROM jobs").fetchone() == (2 * SHORT_ORDER + 2,) * 2


def test_a_long_order_that_fails_gives_its_places_back(
    db: Database, caller: Caller, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(db, caller, external_id="late", priority="bulk", project="spring")
    before = sql.execute("SELECT lane, member, finish FROM shares ORDER BY lane, member").fetchall()
    monkeypatch.setattr("factory.jobs.write_rows.taken_ids", lambda *_: {})
    with pytest.raises(IntegrityError):
        submit_rows(db, caller, [*[{}] * SHORT_ORDER, {"external_id": "late"}])
    assert sql.execute("SELECT lane, member, finish FROM shares ORDER BY lane, member").fetchall() == before


def test_what_a_rule_refused_takes_no_place(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [{"prompt": "forbidden"}, {}])
    assert sql.execute("SELECT status, vft, cost FROM jobs ORDER BY row_no").fetchall() == [("rejected", 0.0, 0.5), ("queued", 0.5, 0.5)]


def test_costs_are_learned_from_what_was_drawn(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    assert job_row(sql, submit(db, caller))["cost"] == 0.5, "two seconds a megapixel until something was drawn"
    claim = take(db)
    close_job(db, claim, finished(claim))
    assert learn_speeds(db) == 1
    assert sql.execute("SELECT checkpoint, pixels, seconds, samples FROM speeds").fetchall() == [("default", 512 * 512, 0.1, 1)]
    assert job_row(sql, submit(db, caller))["cost"] == pytest.approx(0.1)
    assert job_row(sql, submit(db, caller, size="1024x512"))["cost"] == pytest.approx(0.2), "the nearest size, in proportion"
    assert learn_speeds(db) == 1, "safe to repeat"


def test_an_order_of_very_many_users_keeps_memory_flat() -> None:
    demand = count_kinds(Kind(Priority.BULK, f"u{n}", "default", 1) for n in range(MEMBERS + 500))
    assert len(demand) == MEMBERS + 1
    assert demand[Kind(Priority.BULK, "", "default", 1)] == 500


def test_an_order_of_many_users_is_taken_all_the_same(
    db: Database, caller: Caller, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for user in ("shares", "prepare_batch", "write_rows"):
        monkeypatch.setattr(f"factory.jobs.{user}.MEMBERS", 3)
    submit_rows(db, caller, [{"user": f"u{n}"} for n in range(8)])
    assert sql.execute("SELECT member FROM shares ORDER BY member").fetchall() == [("",), (" ",), ("u0",), ("u1",), ("u2",)]
    assert sql.execute("SELECT turn FROM jobs ORDER BY row_no").fetchall()[-1] == (2.5,)
