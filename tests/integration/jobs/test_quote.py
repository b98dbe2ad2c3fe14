"""A quote: what an order would cost and when it would be done, from the marks of the queue; and it writes nothing."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

import psycopg
import pytest

from factory.db import Database
from factory.domain.caller import Caller
from factory.domain.status import Priority
from factory.jobs.batch_order import BatchOrder
from factory.jobs.claim_job import claim_job
from factory.jobs.close_job import close_job
from factory.jobs.opening_hours import OpensAt, always_open, opening_hours
from factory.jobs.quote import Quote, quote_order
from factory.jobs.quote_job import quote_job
from tests.integration.jobs.books import (
    LEASE,
    NOON,
    Clock,
    admitted,
    allow,
    count,
    finished,
    make_tenant,
    prepared,
    settle,
    submit,
    submit_rows,
    take,
)

CUP = {"prompt": "a cup", "seed": 1}


def quote(db: Database, caller: Caller, rows: list[dict[str, Any]], *, opens_at: OpensAt = always_open, **order: Any) -> Quote:
    order = {"project": "spring", **order}
    return quote_order(db, tenant=caller.tenant, order=BatchOrder(**order), prepared=prepared(rows), opens_at=opens_at)


def alive(sql: psycopg.Connection, *names: str) -> None:
    for name in names:
        sql.execute(
            "INSERT INTO gpu_workers (name, resident, lora_key, since_swap, started_at, seen_at) VALUES (%s, '{}', '', 0, %s, %s)",
            (name, NOON, NOON),
        )


def learned(sql: psycopg.Connection, seconds: float) -> None:
    sql.execute(
        "INSERT INTO speeds (checkpoint, pixels, seconds, samples, measured_at) VALUES ('default', 262144, %s, 20, %s)", (seconds, NOON)
    )


def seconds_to(found: Quote) -> list[float]:
    assert found.finish is not None
    return [(moment - NOON).total_seconds() for moment in (found.finish.p10, found.finish.p50, found.finish.p90)]


def test_what_it_counts_and_that_it_writes_nothing(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [{"prompt": "drawn", "seed": 1, "external_id": "taken"}])
    claim = claim_job(db, worker="w1", lease=LEASE)
    assert claim is not None
    close_job(db, claim, finished(claim))
    before = {table: count(sql, table) for table in ("jobs", "batches", "audit_events")}
    learned(sql, 2.0)
    rows: list[dict[str, Any]] = [
        CUP,
        CUP,
        {"prompt": "drawn", "seed": 1},
        {"prompt": "a forbidden cup"},
        {"prompt": "x", "external_id": "taken"},
        {"prompt": "b", "width": 7},
    ]
    found = quote(db, caller, rows)
    assert (found.images, found.to_draw, found.duplicates, found.reused) == (3, 1, 1, 1)
    assert (found.rows_blocked, [(one["row"], one["code"]) for one in sorted(found.blocked, key=lambda one: one["row"])]) == (
        3,
        [(4, "refused"), (5, "external_id_taken"), (6, "size_out_of_range")],
    )
    assert [found.gpu_seconds, found.gpu_seconds_saved] == pytest.approx([2.0, 4.0])
    assert {table: count(sql, table) for table in before} == before


def test_without_reuse_everything_is_drawn(db: Database, caller: Caller) -> None:
    found = quote(db, caller, [CUP, CUP], reuse=False)
    assert (found.to_draw, found.duplicates, found.gpu_seconds_saved) == (2, 0, 0.0)


def test_nobody_alive_and_a_paused_lane_give_no_date_but_a_reason(
    db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection
) -> None:
    assert quote(db, caller, [CUP]).unknown == "no worker is alive; the order would wait until one is started"
    alive(sql, "w1")
    assert quote(db, caller, [CUP]).finish is not None
    clock.advance(3600)
    assert quote(db, caller, [CUP]).finish is None
    clock.advance(-3600)
    sql.execute("INSERT INTO lanes (lane, paused_at, paused_by) VALUES ('bulk', %s, 'ops')", (NOON,))
    found = quote(db, caller, [CUP])
    assert (found.finish, found.unknown) == (None, "the lane bulk is paused; the order would wait until it is resumed")
    assert quote(db, caller, [CUP], priority=Priority.INTERACTIVE).finish is not None


def test_off_peak_is_done_in_its_hours_or_nothing_is_said(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    alive(sql, "w1")
    learned(sql, 2.0)
    rows = [{"prompt": f"cup {number}", "seed": 1} for number in range(100)]

    def off_peak(hours: str, **order: Any) -> Quote:
        return quote(db, caller, rows, opens_at=opening_hours(hours, "UTC"), priority=Priority.OFFPEAK, **order)

    now = NOON.astimezone(UTC)
    around, later = (f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=4):%H:%M}", f"{now + timedelta(hours=2):%H:%M}-23:59")
    assert seconds_to(off_peak(around)) == pytest.approx([170, 200, 250])
    assert seconds_to(off_peak("")) == pytest.approx([170, 200, 250])
    closed = off_peak(later)
    assert closed.finish is None
    assert (now + timedelta(hours=2)).isoformat(timespec="seconds") in str(closed.unknown)
    short = off_peak(f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(minutes=2):%H:%M}")
    assert (short.finish, "the off-peak hours end" in str(short.unknown)) == (None, True)


def test_who_may_have_nothing_in_work_gets_the_reason(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    alive(sql, "w1")
    allow(sql, caller.tenant, "ana", max_running=0)
    assert quote(db, caller, [CUP]).finish is not None
    assert "max_running is 0" in str(quote(db, caller, [CUP], user="ana").unknown)
    sql.execute("UPDATE allowances SET max_running = 0, member = '' WHERE tenant = %s", (caller.tenant,))
    found = quote(db, caller, [CUP])
    assert found.finish is None
    assert "max_running is 0" in str(found.unknown)


def test_an_empty_queue_takes_the_orders_own_time(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    alive(sql, "w1", "w2")
    learned(sql, 2.0)
    rows = [{"prompt": f"cup {number}", "seed": 1} for number in range(100)]
    assert seconds_to(quote(db, caller, rows)) == pytest.approx([85, 100, 125])


def test_a_large_order_of_somebody_else_costs_at_most_half_the_workers(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    other = Caller(tenant="t-neighbour", name="fk_other")
    make_tenant(sql, other.tenant)
    alive(sql, "w1")
    learned(sql, 2.0)
    submit_rows(db, other, [{"prompt": f"pot {number}", "seed": 1} for number in range(300)])
    settle(db)
    rows = [{"prompt": f"cup {number}", "seed": 1} for number in range(10)]
    _, middle, _ = seconds_to(quote(db, caller, rows))
    assert middle == pytest.approx(40, rel=0.1)
    allow(sql, caller.tenant, weight=3.0)
    _, middle, _ = seconds_to(quote(db, caller, rows))
    assert middle == pytest.approx(20 * 4 / 3, rel=0.1)


def test_a_few_rows_take_turns_with_what_one_has_waiting(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    """And are done when the quote says."""
    alive(sql, "w1")
    learned(sql, 2.0)
    submit_rows(db, caller, [{"prompt": f"pot {number}", "seed": 1} for number in range(100)])
    settle(db)
    rows = [{"prompt": f"cup {number}", "seed": 1} for number in range(10)]
    _, middle, late = seconds_to(quote(db, caller, rows))
    assert [middle, late] == pytest.approx([40, 75])
    order = submit_rows(db, caller, rows)
    claims = [take(db).batch_id for _ in range(30)]
    assert claims.count(order) == 10
    assert 2.0 * (30 - claims[::-1].index(order)) == middle


@pytest.mark.parametrize(
    ("waiting", "wanted"),
    [
        ([{"priority": Priority.STANDARD}], {"priority": Priority.STANDARD}),
        ([{}], {"priority": Priority.STANDARD}),
        ([{}, {}, {}], {}),
        ([{"user": "ana"}] * 3, {"user": "ben"}),
    ],
)
def test_the_quote_of_an_order_that_takes_turns_comes_true(
    db: Database, caller: Caller, sql: psycopg.Connection, waiting: list[dict[str, Any]], wanted: dict[str, Any]
) -> None:
    alive(sql, "w1")
    learned(sql, 2.0)
    for number, order in enumerate(waiting):
        submit_rows(db, caller, [{"prompt": f"pot {number} {row}", "seed": 1} for row in range(120)], **order)
    settle(db)
    rows = [{"prompt": f"cup {number}", "seed": 1} for number in range(20)]
    _, middle, late = seconds_to(quote(db, caller, rows, **wanted))
    mine = submit_rows(db, caller, rows, **wanted)
    claims = [take(db).batch_id for _ in range(120)]
    done = 2.0 * (len(claims) - claims[::-1].index(mine))
    assert claims.count(mine) == 20
    assert done == pytest.approx(middle, rel=0.15)
    assert done <= late


def test_of_a_long_order_what_one_has_waiting_comes_first(
    db: Database, caller: Caller, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factory.jobs.quote.MOST", 0)
    alive(sql, "w1")
    learned(sql, 2.0)
    submit_rows(db, caller, [{"prompt": f"pot {number}", "seed": 1} for number in range(100)])
    settle(db)
    _, middle, _ = seconds_to(quote(db, caller, [CUP]))
    assert middle == pytest.approx(202, rel=0.1)


def test_nothing_ends_before_its_hour(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    alive(sql, "w1")
    found = quote(db, caller, [CUP], not_before=NOON + timedelta(hours=2))
    assert min(seconds_to(found)) >= 7200


def test_the_room_that_is_left(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    allow(sql, caller.tenant, max_queued=5)
    submit_rows(db, caller, [CUP])
    assert quote(db, caller, [{"prompt": "x"}]).room == 4


def quote_one(db: Database, caller: Caller, *, opens_at: OpensAt = always_open, **order: Any) -> Quote:
    with db.transaction() as session:
        return quote_job(session, db.now(), tenant=caller.tenant, admitted=admitted(**order), opens_at=opens_at)


def test_a_single_order_is_told_of_its_own_picture(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    assert quote_one(db, caller).unknown == "no worker is alive; the order would wait until one is started"
    alive(sql, "w1")
    learned(sql, 2.0)
    assert seconds_to(quote_one(db, caller)) == pytest.approx([1.7, 2.0, 2.5])
    assert seconds_to(quote_one(db, caller, model="other")) == pytest.approx([0.25, 0.5, 1.0])  # nobody has drawn with it yet
    over = f"{NOON - timedelta(hours=2):%H:%M}-{NOON - timedelta(hours=1):%H:%M}"
    assert quote_one(db, caller, priority="offpeak", opens_at=opening_hours(over, "UTC")).finish is None
    assert count(sql, "jobs") == 0


def test_a_single_order_stands_behind_what_its_tenant_has_waiting(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    alive(sql, "w1")
    learned(sql, 2.0)
    for seed in range(20):
        submit(db, caller, seed=seed)
    settle(db)
    _, middle, _ = seconds_to(quote_one(db, caller))
    assert middle == pytest.approx(42, rel=0.1)


def test_a_deadline_is_kept_by_nine_in_ten_or_nothing_is_said(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    rows = [{"prompt": f"cup {number}", "seed": 1} for number in range(100)]
    assert quote(db, caller, rows).keeps(NOON + timedelta(days=9)) is None
    alive(sql, "w1")
    learned(sql, 2.0)
    found = quote(db, caller, rows)
    assert seconds_to(found) == pytest.approx([170, 200, 250])
    assert [found.keeps(NOON + timedelta(seconds=late)) for late in (249, 251)] == [False, True]
    assert found.keeps(None) is None


def test_what_waits_already_is_not_done_now(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    learned(sql, 2.0)
    rows = [{"prompt": f"cup {number}", "seed": 1} for number in range(100)]
    submit_rows(db, caller, rows)
    settle(db)
    assert quote(db, caller, rows).unknown == "no worker is alive; the order would wait until one is started"
    alive(sql, "w1")
    found = quote(db, caller, [*rows, *rows])
    assert (found.reused, found.to_draw) == (200, 0)
    assert [found.gpu_seconds, found.gpu_seconds_saved] == pytest.approx([0.0, 400.0])
    assert seconds_to(found) == pytest.approx([170, 200, 250], rel=0.1)
    assert [found.keeps(NOON + timedelta(seconds=late)) for late in (100, 300)] == [False, True]
    sql.execute("INSERT INTO lanes (lane, paused_at, paused_by) VALUES ('bulk', %s, 'ops')", (NOON,))
    closed = quote(db, caller, rows)
    assert closed.unknown == "the lane bulk is paused; the order would wait until it is resumed"
    assert closed.keeps(NOON + timedelta(days=9)) is None
    first = quote(db, caller, rows[:1], priority=Priority.INTERACTIVE)
    assert (first.to_draw, first.reused) == (1, 0), "nobody waits for a picture in a lane behind their own"


def test_what_a_worker_has_is_done_soon_and_what_is_drawn_is_done(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    learned(sql, 2.0)
    submit_rows(db, caller, [CUP])
    claim = claim_job(db, worker="w1", lease=LEASE)
    assert claim is not None
    assert quote(db, caller, [CUP]).finish is None
    alive(sql, "w1")
    sql.execute("INSERT INTO lanes (lane, paused_at, paused_by) VALUES ('bulk', %s, 'ops')", (NOON,))
    assert seconds_to(quote(db, caller, [CUP])) == pytest.approx([1.0, 2.0, 4.0])
    close_job(db, claim, finished(claim))
    sql.execute("DELETE FROM gpu_workers")
    assert seconds_to(quote(db, caller, [CUP])) == [0.0, 0.0, 0.0]
    assert seconds_to(quote(db, caller, [CUP], not_before=NOON + timedelta(hours=1))) == [3600.0] * 3
