"""submit_job and submit_batch: rows, numbers, events; all of an order or nothing of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError

from factory.db import Database
from factory.domain.audit_event import AuditAction
from factory.domain.caller import Caller
from factory.domain.status import Priority
from factory.errors import Invalid
from factory.jobs.batch_order import BatchOrder
from factory.jobs.log_refusal import log_refusal
from factory.jobs.new_job import SHORT_ORDER
from factory.jobs.submit_batch import submit_batch
from tests.integration.jobs.books import NOON, SHA, Clock, admitted, chain, count, job_row, prepared, submit, submit_rows


def test_an_order_becomes_a_queued_job_with_its_first_event(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    row = job_row(sql, submit(db, caller, sku="KETTLE-红", seed=7, negative_prompt="blurry", expires_in=90, metadata={"shelf": "3"}))
    assert (row["status"], row["lane"], row["attempt"], row["seq"]) == ("queued", "interactive", 0, 1)
    assert row["requested"] == {
        "prompt": "一把红色的水壶",
        "seed": 7,
        "sku": "KETTLE-红",
        "negative_prompt": "blurry",
        "expires_in": 90,
        "metadata": {"shelf": "3"},
    }
    assert (row["spec"]["width"], row["spec"]["seed"], row["spec"]["policy_version"]) == (512, 7, "test-1")
    assert (row["created_at"], row["expires_at"], row["day"]) == (NOON, NOON + timedelta(seconds=90), NOON.date())
    assert [warning["code"] for warning in row["warnings"]] == ["negative_prompt_ignored"]
    assert chain(sql, row["id"]) == [("job.submitted", None, "queued", 0)]


def test_a_row_knows_what_schedules_it(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    row = job_row(sql, submit(db, caller, sku="K1", seed=7, priority="standard", slot="main", size="512x256", deadline="+2h"))
    assert (row["priority"], row["lane"], row["hold"], row["ready_at"]) == ("standard", "bulk", None, NOON)
    assert (row["cell"], row["lora_key"], row["template"], row["superseded"]) == ("K1|main|512x256||1", "", None, False)
    assert (row["cost"], row["vft"], row["turn"]) == (0.25, 0.0625, 0.0625)
    assert row["spec_sha256"] == admitted(sku="K9", seed=7, size="512x256").spec.sha256, (
        "the place in a catalogue is no part of the picture"
    )
    assert row["deadline"] is not None
    assert job_row(sql, submit(db, caller, sku="K2"))["cell"] is None


def test_what_an_order_says_holds_for_its_rows(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    later, end = NOON + timedelta(hours=1), NOON + timedelta(hours=9)
    rows: list[dict[str, Any]] = [{"sku": "A"}, {"sku": "B", "priority": "interactive", "not_before": "2026-03-01T11:00:00Z"}]
    batch_id = submit_rows(
        db, caller, rows, priority=Priority.OFFPEAK, not_before=later, deadline=end, catalogue="spring", retention="short"
    )
    found = sql.execute("SELECT lane, hold, not_before, ready_at, deadline, cell FROM jobs ORDER BY row_no").fetchall()
    assert found == [
        ("offpeak", "scheduled", later, later, end, "A||||1"),
        ("interactive", None, NOON - timedelta(hours=1), NOON, end, "B||||1"),
    ]
    batch = sql.execute("SELECT priority, deadline, catalogue, retention, paused_at, ended_at FROM batches WHERE id = %s", (batch_id,))
    assert batch.fetchone() == ("offpeak", end, "spring", "short", None, None)


def test_equal_rows_of_an_order_are_drawn_once_unless_it_says_otherwise(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [{"seed": 1}, {"seed": 1}, {"seed": 2}])
    assert sql.execute("SELECT hold FROM jobs ORDER BY row_no").fetchall() == [(None,), ("twin",), (None,)]
    again = submit_rows(db, caller, [{"seed": 1}, {"seed": 2}], reuse=False)
    assert sql.execute("SELECT hold FROM jobs WHERE batch_id = %s", (again,)).fetchall() == [(None,), (None,)]


def test_the_day_in_a_file_name_is_the_day_of_the_order_in_utc(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    clock.advance(12 * 3600 - 1)
    before = job_row(sql, submit(db, caller))
    clock.advance(1)
    after = job_row(sql, submit(db, caller))
    assert (str(before["day"]), before["seq"], str(after["day"]), after["seq"]) == ("2026-03-01", 1, "2026-03-02", 1)


def test_a_refused_order_is_a_rejected_job_that_says_which_rule(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    row = job_row(sql, submit(db, caller, prompt="a forbidden kettle"))
    assert (row["status"], row["finished_at"], row["error"]["rule"]) == ("rejected", NOON, "r1")
    assert chain(sql, row["id"]) == [("prompt.rejected", None, "rejected", 0)]


def test_a_refusal_without_a_job_is_logged_too(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    order = admitted(prompt="a forbidden kettle", sku="K1")
    assert order.refusal is not None
    with db.transaction() as session:
        log_refusal(session, db.now(), caller, order, order.refusal)
    event = sql.execute("SELECT action, sku, actor, job_id, detail FROM audit_events").fetchone()
    assert event is not None
    assert event[:4] == (AuditAction.PROMPT_REJECTED, "K1", "fk_testkey", None)
    assert (event[4]["rule"], event[4]["requested"]["prompt"]) == ("r1", "a forbidden kettle")
    assert count(sql, "jobs") == 0


def test_an_external_id_names_one_job_for_ever(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit(db, caller, external_id="po-1")
    with pytest.raises(IntegrityError, match="external_id"):
        submit(db, caller, external_id="po-1")
    assert (count(sql, "jobs"), count(sql, "audit_events")) == (1, 1)


def test_another_tenant_may_use_the_same_external_id(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    sql.execute("INSERT INTO tenants VALUES ('neighbour', now())")
    submit(db, caller, external_id="po-1")
    submit(db, Caller(tenant="neighbour", name="fk_other"), external_id="po-1")
    assert count(sql, "jobs") == 2


def test_a_batch_keeps_its_rows_in_order_and_logs_each(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    rows = [{"sku": f"SKU-{n}", "prompt": f"水壶 {n}\t\\N \"'"} for n in range(1, 51)]
    batch_id = submit_rows(db, caller, rows, user="ana", tags=("spring",), metadata=(("shop", "tmall"),))
    found = sql.execute("SELECT row_no, seq, sku, spec->>'prompt', status, lane, end_user, tags FROM jobs ORDER BY vft, id").fetchall()
    assert found == [(n, n, f"SKU-{n}", f"水壶 {n}\t\\N \"'", "queued", "bulk", "ana", ["spring"]) for n in range(1, 51)]
    assert sql.execute("SELECT rows_accepted, rows_refused FROM batches WHERE id = %s", (batch_id,)).fetchone() == (50, 0)
    events = sql.execute("SELECT action, count(*), count(DISTINCT job_id) FROM audit_events GROUP BY action ORDER BY action").fetchall()
    assert events == [("batch.submitted", 1, 0), ("job.submitted", 50, 50)]


def test_a_row_that_a_rule_refused_is_a_rejected_job_of_the_batch(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [{"prompt": "a kettle"}, {"prompt": "forbidden"}, {"prompt": "a mug"}])
    assert sql.execute("SELECT status FROM jobs ORDER BY row_no").fetchall() == [("queued",), ("rejected",), ("queued",)]
    events = sql.execute("SELECT e.action, e.became, e.detail->>'rule' FROM audit_events e JOIN jobs j ON j.id = e.job_id ORDER BY row_no")
    assert events.fetchall() == [
        ("job.submitted", "queued", None),
        ("prompt.rejected", "rejected", "r1"),
        ("job.submitted", "queued", None),
    ]


def test_rows_that_cannot_be_drawn_or_are_taken_are_refused_by_number(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit(db, caller, external_id="po-1", project="spring")
    rows: list[dict[str, Any]] = [{"external_id": "po-1"}, {"width": 500}, {"external_id": "po-2"}, {"external_id": "po-2"}, {}]
    batch_id = submit_rows(db, caller, rows)
    batch = sql.execute("SELECT rows_accepted, rows_refused, row_errors FROM batches WHERE id = %s", (batch_id,)).fetchone()
    assert batch is not None
    assert batch[:2] == (2, 3)
    assert {error["row"]: error["code"] for error in batch[2]} == {
        1: "external_id_taken",
        2: "size_not_multiple_of_16",
        4: "external_id_repeated",
    }
    drawn = sql.execute("SELECT row_no, seq FROM jobs WHERE batch_id = %s ORDER BY row_no", (batch_id,)).fetchall()
    assert drawn == [(3, 2), (5, 3)]


def test_an_order_of_which_nothing_is_left_leaves_nothing(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit(db, caller, external_id="po-1", project="spring")
    with pytest.raises(Invalid, match="ordered before"):
        submit_rows(db, caller, [{"external_id": "po-1"}])
    assert (count(sql, "jobs"), count(sql, "batches"), count(sql, "audit_events")) == (1, 0, 1)
    assert sql.execute("SELECT last FROM name_counters").fetchall() == [(1,)]


def test_a_batch_name_is_given_once(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [{}], external_id="june")
    with pytest.raises(IntegrityError, match="external_id"):
        submit_rows(db, caller, [{}], external_id="june")
    assert (count(sql, "batches"), count(sql, "jobs")) == (1, 1)


def test_two_orders_with_the_same_external_ids_at_the_same_moment(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    """Neither sees the other's rows when it looks; the unique index decides, and the losers leave nothing."""
    outcomes = []

    def order(project: str) -> None:
        try:
            submit_rows(db, caller, [{"external_id": f"po-{n}"} for n in range(300)], project=project)
            outcomes.append("accepted")
        except (IntegrityError, Invalid) as fault:
            outcomes.append(type(fault).__name__)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(order, ["a", "b", "c", "d"]))
    assert outcomes.count("accepted") == 1
    assert set(outcomes) <= {"accepted", "IntegrityError", "Invalid"}
    assert count(sql, "jobs") == 300


def test_numbers_have_no_gap_when_many_submit_at_once(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    """Eight at once, some of them failing half-way: a number that was taken back is given again."""

    def order(n: int) -> None:
        if n % 4 == 0:
            submit_rows(db, caller, [{}] * (n % 5 + 1))
        elif n % 4 == 1:
            submit(db, caller, project="spring")
        else:
            with pytest.raises(RuntimeError), db.transaction() as session:  # noqa: PT012
                submit_batch(session, db.now(), caller, BatchOrder("spring"), prepared([{}] * 3), request_sha256=SHA)
                raise RuntimeError

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(order, range(40)))
    numbers = [seq for (seq,) in sql.execute("SELECT seq FROM jobs WHERE project = 'spring' ORDER BY seq")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) == sum(n % 5 + 1 for n in range(0, 40, 4)) + 10


def test_numbers_are_counted_apart_for_each_project(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [{}, {}], project="spring")
    submit_rows(db, caller, [{}], project="autumn")
    assert sql.execute("SELECT project, array_agg(seq ORDER BY seq) FROM jobs GROUP BY 1 ORDER BY 1").fetchall() == [
        ("autumn", [1]),
        ("spring", [1, 2]),
    ]


def test_a_large_order_is_written_by_copy_in_seconds(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, ({"sku": f"S{n}"} for n in range(5000)))
    assert (count(sql, "jobs"), count(sql, "audit_events")) == (5000, 5001)
    assert sql.execute("SELECT min(seq), max(seq), count(DISTINCT seq) FROM jobs").fetchone() == (1, 5000, 5000)


def test_a_large_order_keeps_nobody_in_its_project_waiting(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    """Before it commits, another order of the same project goes through; the numbers still do not meet."""
    rows = prepared([{}] * (SHORT_ORDER + 1))
    with db.transaction() as session:
        submit_batch(session, db.now(), caller, BatchOrder("spring"), rows, request_sha256=SHA)
        with ThreadPoolExecutor(1) as pool:
            meanwhile = pool.submit(submit, db, caller, project="spring").result(timeout=60)
    assert job_row(sql, meanwhile)["seq"] == SHORT_ORDER + 2
    assert sql.execute("SELECT count(DISTINCT seq) FROM jobs").fetchone() == (SHORT_ORDER + 2,)


def test_a_large_order_that_fails_gives_its_numbers_back(
    db: Database, caller: Caller, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(db, caller, external_id="late", project="spring")
    monkeypatch.setattr("factory.jobs.write_rows.taken_ids", lambda *_: {})
    with pytest.raises(IntegrityError):
        submit_rows(db, caller, [*[{}] * SHORT_ORDER, {"external_id": "late"}])
    assert job_row(sql, submit(db, caller, project="spring"))["seq"] == 2
