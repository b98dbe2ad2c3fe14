"""The ordered lists of a claim: what a worker that holds a checkpoint, LoRAs, and a past gets next."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from factory.db import Database
from factory.domain.caller import Caller
from factory.jobs.claim_job import claim_job
from factory.jobs.claim_lists import (
    INTERACTIVE_RUN,
    JOIN_ROWS,
    JOIN_SECONDS,
    LORA_RUN,
    MIN_RUN,
    OVERDUE_SECONDS,
    W_SECONDS,
    Run,
    claim_statement,
)
from tests.integration.jobs.books import LEASE, NOON, Clock, make_tenant, register, submit, submit_rows, take

HERE = ("default",)
DUE = Run(since_swap=MIN_RUN)


def bulk(db: Database, caller: Caller, model: str = "default", **order: Any) -> uuid.UUID:
    return submit(db, caller, priority="bulk", model=model, **order)


def test_an_interactive_job_of_another_checkpoint_waits_for_about_one_load(db: Database, clock: Clock, caller: Caller) -> None:
    elsewhere = submit(db, caller, model="other")
    work = [bulk(db, caller), bulk(db, caller)]
    assert take(db, resident=HERE).job_id == work[0]
    clock.advance(W_SECONDS)
    assert take(db, resident=HERE).job_id == elsewhere


def test_where_pictures_are_quick_it_waits_for_one_picture_only(db: Database, clock: Clock, caller: Caller) -> None:
    """Whoever holds its checkpoint asks once for each picture, and would have taken it by then."""
    elsewhere, work, quick = submit(db, caller, model="other"), bulk(db, caller), Run(patience=0.2)
    clock.advance(0.1)
    assert take(db, resident=HERE, run=quick).job_id == work
    bulk(db, caller)
    clock.advance(0.1)
    assert take(db, resident=HERE, run=quick).job_id == elsewhere


def test_a_worker_that_holds_the_checkpoint_takes_it_at_once(db: Database, caller: Caller) -> None:
    bulk(db, caller)
    wanted = submit(db, caller, model="other")
    assert take(db, resident=("default", "other")).job_id == wanted


def test_interactive_comes_before_a_load_for_bulk(db: Database, caller: Caller) -> None:
    bulk(db, caller, "other")
    wanted = submit(db, caller, model="other")
    assert take(db, resident=HERE).job_id == wanted


def test_behind_a_load_nothing_is_claimed_that_costs_another_one(db: Database, clock: Clock, caller: Caller) -> None:
    """The picture that is drawn first still waits for its checkpoint: who comes behind it would wait for two loads."""
    elsewhere, near = submit(db, caller, model="other"), bulk(db, caller)
    clock.advance(W_SECONDS)
    loading = Run(since_swap=1)
    assert take(db, resident=HERE, ahead=True, run=loading).job_id == near
    assert claim_job(db, worker="w1", lease=LEASE, resident=HERE, ahead=True, run=loading) is None
    assert take(db, resident=HERE, run=loading).job_id == elsewhere, "the load is over"


def test_a_few_rows_that_somebody_has_begun_on_are_left_to_them(
    db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection
) -> None:
    register(sql, "default", "other")
    submit_rows(db, caller, [{"model": "other"}] * (JOIN_ROWS + 1))
    for _ in range(2):
        take(db, resident=HERE, run=Run())  # the first of its order; then so many are left that a second load is worth it
    assert claim_job(db, worker="w1", lease=LEASE, resident=HERE, run=Run()) is None
    assert take(db, resident=("default", "other"), run=Run()), "who holds it goes on"
    assert take(db, resident=HERE), "who does not say what it has been drawing is not asked to"
    clock.advance(JOIN_SECONDS)
    assert take(db, resident=HERE, run=Run())


def test_a_load_goes_where_many_rows_wait(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    register(sql, "default", "other", "third")
    submit_rows(db, caller, [{"model": "other"}] * (2 + JOIN_ROWS))
    sql.execute("UPDATE jobs SET checkpoint = 'third' WHERE row_no <= 2")
    clock.advance(JOIN_SECONDS)
    rows = [take(db, resident=HERE, run=Run()).job_id for _ in range(2)]
    assert [sql.execute("SELECT row_no FROM jobs WHERE id = %s", (row,)).fetchone() for row in rows] == [(3,), (1,)]


def test_overdue_bulk_of_another_checkpoint_costs_a_load_after_a_run(
    db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection
) -> None:
    register(sql, "default", "other")
    elsewhere = bulk(db, caller, "other")
    near = [bulk(db, caller) for _ in range(3)]
    clock.advance(OVERDUE_SECONDS - 1)
    assert take(db, resident=HERE, run=DUE).job_id == near[0], "not overdue yet"
    clock.advance(1)
    assert take(db, resident=HERE, run=Run(since_swap=MIN_RUN - 1)).job_id == near[1], "too soon after the last load"
    assert take(db, resident=HERE, run=DUE).job_id == elsewhere


def test_of_the_overdue_the_one_that_fair_share_has_first(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    register(sql, "default", "other", "third")
    rows = [bulk(db, caller, "other"), bulk(db, caller, "other")]
    sql.execute("UPDATE jobs SET checkpoint = 'third' WHERE id = %s", (rows[0],))
    clock.advance(OVERDUE_SECONDS)
    assert [take(db, resident=HERE, run=DUE).job_id for _ in rows] == rows


def test_the_same_loras_go_on_for_a_while(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    plain, styled = bulk(db, caller), bulk(db, caller)
    sql.execute("UPDATE jobs SET lora_key = 'style' WHERE id = %s", (styled,))
    assert take(db, resident=HERE, run=Run(lora_key="style", lora_run=LORA_RUN - 1)).job_id == styled
    another = bulk(db, caller)
    sql.execute("UPDATE jobs SET lora_key = 'style' WHERE id = %s", (another,))
    assert take(db, resident=HERE, run=Run(lora_key="style", lora_run=LORA_RUN)).job_id == plain


def test_bulk_goes_first_once_after_a_long_interactive_run(db: Database, clock: Clock, caller: Caller) -> None:
    click, row = submit(db, caller), bulk(db, caller)
    clock.advance(60)
    assert take(db, resident=HERE, run=Run(interactive_run=INTERACTIVE_RUN)).job_id == row
    assert take(db, resident=HERE, run=Run(interactive_run=INTERACTIVE_RUN)).job_id == click, "nothing else is left"


def test_a_paused_lane_is_passed_over(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit(db, caller)
    row = bulk(db, caller)
    sql.execute("INSERT INTO lanes (lane, paused_at, paused_by) VALUES ('interactive', %s, 'ops')", (NOON,))
    assert take(db, resident=HERE).job_id == row
    assert claim_job(db, worker="w1", lease=LEASE, resident=HERE) is None
    sql.execute("UPDATE lanes SET paused_at = NULL")
    assert claim_job(db, worker="w1", lease=LEASE, resident=HERE) is not None


def test_the_offpeak_lane_comes_last_and_only_in_its_hours(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    register(sql, "default", "other")
    cheap = submit(db, caller, priority="offpeak")
    row = bulk(db, caller, "other")
    assert take(db, resident=HERE, run=Run(offpeak_open=True)).job_id == row
    assert claim_job(db, worker="w1", lease=LEASE, resident=HERE) is None
    assert take(db, resident=HERE, run=Run(offpeak_open=True)).job_id == cheap


def test_jobs_of_a_checkpoint_that_the_disk_lacks_are_left_to_others(
    db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection
) -> None:
    register(sql, "default", "other")
    theirs = [submit(db, caller, model="other", priority=priority) for priority in ("interactive", "bulk", "offpeak")]
    clock.advance(OVERDUE_SECONDS)
    bare = Run(since_swap=MIN_RUN, offpeak_open=True, lacks=("other",))
    for resident in ((), HERE):
        assert claim_job(db, worker="w1", lease=LEASE, resident=resident, run=bare) is None
    mine = [submit(db, caller, priority=priority) for priority in ("interactive", "bulk", "offpeak")]
    assert [take(db, run=bare).job_id for _ in mine] == mine
    assert [take(db, "w2", run=Run(offpeak_open=True)).job_id for _ in theirs] == theirs


def test_fair_share_decides_among_the_checkpoints_that_are_there(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    register(sql, "default", "other", "third")
    bulk(db, caller, "other")
    rows = [bulk(db, caller) for _ in range(3)]
    sql.execute("UPDATE jobs SET checkpoint = 'third' WHERE id = %s", (rows[1],))
    assert [take(db, run=Run(lacks=("other",))).job_id for _ in rows] == rows


@pytest.mark.parametrize("hold", ["scheduled", "paused", "capped", "twin"])
def test_what_is_held_is_offered_to_nobody(db: Database, caller: Caller, sql: psycopg.Connection, hold: str) -> None:
    submit(db, caller)
    sql.execute("UPDATE jobs SET hold = %s", (hold,))
    assert claim_job(db, worker="w1", lease=LEASE, resident=HERE) is None


def test_an_order_for_later_waits_held_until_then(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit(db, caller, not_before="2026-03-01T13:00:00Z")
    submit(db, caller, not_before="2026-03-01T11:00:00Z")
    rows = sql.execute("SELECT hold, not_before, ready_at FROM jobs ORDER BY id").fetchall()
    later, earlier = NOON.replace(hour=13), NOON.replace(hour=11)
    assert rows == [("scheduled", later, later), (None, earlier, NOON)]


def test_users_of_a_tenant_take_turns_in_the_places_of_their_tenant(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [{"user": "ana"}] * 4)
    submit_rows(db, caller, [{"user": "ben"}] * 4)
    places = sql.execute("SELECT vft FROM jobs ORDER BY vft").fetchall()
    taken = [take(db).job_id for _ in range(8)]
    users: dict[uuid.UUID, str] = dict(sql.execute("SELECT id, end_user FROM jobs").fetchall())
    assert [users[job_id] for job_id in taken] == ["ana", "ben"] * 4
    drawn: dict[uuid.UUID, float] = dict(sql.execute("SELECT id, vft FROM jobs").fetchall())
    assert [(drawn[job_id],) for job_id in taken] == places, "the tenant's places are used up one after the other"


def test_a_turn_that_somebody_holds_is_passed_over(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [{"user": "ana"}] * 2)
    submit_rows(db, caller, [{"user": "ben"}] * 2)
    take(db)  # ana's first: ben is next
    rows = sql.execute("SELECT id, end_user FROM jobs WHERE status = 'queued' ORDER BY turn, id").fetchall()
    assert [user for _, user in rows] == ["ben", "ana", "ben"]
    with sql.transaction():
        sql.execute("SELECT 1 FROM jobs WHERE id = %s FOR UPDATE", (rows[0][0],))
        assert take(db).job_id == rows[1][0]
    assert take(db).job_id == rows[0][0]


def test_a_place_never_passes_to_another_tenant(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    """Users share what their tenant has: a tenant with many users gets no more than one with a single user."""
    make_tenant(sql, "neighbour")
    submit_rows(db, caller, [{"user": f"u{n}"} for n in range(10)])
    submit_rows(db, Caller(tenant="neighbour", name="fk_other"), [{}] * 10)
    assert [take(db).tenant for _ in range(8)].count("neighbour") == 4


@pytest.mark.parametrize("bare", [False, True])
def test_a_claim_reads_only_the_starts_of_the_queue_s_indexes(db: Database, caller: Caller, sql: psycopg.Connection, bare: bool) -> None:
    register(sql, "default", "other")
    submit_rows(db, caller, ({"model": ("default", "other")[n % 2]} for n in range(3000)))
    sql.execute("ANALYZE jobs")
    statement = claim_statement(2, same_lora=True, may_swap=True, bulk_first=False, offpeak=True, now="now()", lacking=bare, spares=True)
    binds = {"worker": "w1", "patience": W_SECONDS, "lora_key": "", "lacks": ["third"], "r0": "default", "r1": "other"}
    with db.transaction() as session:
        plan = "\n".join(session.scalars(text(f"EXPLAIN {statement.text}"), binds))
    assert "Seq Scan on jobs" not in plan
    assert "Bitmap" not in plan
    scans = [line for line in plan.splitlines() if "on jobs" in line]
    assert scans
    # Besides, whether a head is the first row of its order: the start of that order's own part of an index.
    assert all("using jobs_waiting" in line or "using jobs_batch_id_row_no_idx on jobs f" in line for line in scans), plan
