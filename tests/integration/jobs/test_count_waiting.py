"""What waits is counted up to a bound, and what has waited longest is found wherever it stands."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from factory import metrics
from factory.db import Database
from factory.domain.caller import Caller
from factory.domain.status import Lane, Priority
from factory.jobs.count_waiting import COUNTED, HOW_MANY, Waiting, count_waiting
from tests.integration.jobs.books import NOON, Clock, settle, submit, submit_rows, take


def test_of_each_lane_no_more_than_the_bound(db: Database, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    submit_rows(db, caller, [{} for _ in range(8)])
    submit(db, caller)
    submit_rows(db, caller, [{} for _ in range(3)], priority=Priority.OFFPEAK)
    assert count_waiting(db) == Waiting(12, 0, 0.0)
    monkeypatch.setattr("factory.jobs.count_waiting.COUNTED", 5)
    assert count_waiting(db) == Waiting(1 + 5 + 3, 0, 0.0)


def test_the_help_of_the_metric_names_the_bound() -> None:
    (described,) = metrics.jobs.describe()
    assert f"up to {COUNTED} of each lane" in described.documentation


def test_the_oldest_is_found_behind_the_head(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    """Fair share may leave it there: that is what somebody wants to hear of."""
    assert count_waiting(db) == Waiting(0, 0, 0.0)
    starved = submit(db, caller, priority="bulk", model="other")
    clock.advance(30)
    submit_rows(db, caller, [{} for _ in range(3)], priority=Priority.STANDARD)
    sql.execute("UPDATE jobs SET vft = vft + 1000, turn = turn + 1000 WHERE id = %s", (starved,))
    clock.advance(12)
    assert take(db, resident=("default",)).job_id != starved
    assert count_waiting(db) == Waiting(3, 1, 42.0)
    sql.execute("UPDATE jobs SET hold = 'paused' WHERE id = %s", (starved,))
    assert count_waiting(db) == Waiting(2, 1, 12.0), "what is held is not offered"


def test_nothing_that_waits_stands_before_the_mark(db: Database, caller: Caller) -> None:
    submit_rows(db, caller, [{"model": ("default", "other")[n % 2]} for n in range(20)])
    for _ in range(8):
        take(db)
    settle(db)
    assert count_waiting(db) == Waiting(12, 8, 0.0)


def test_a_long_queue_is_not_read(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [{} for _ in range(3000)])
    submit(db, caller)
    sql.execute("VACUUM ANALYZE jobs")
    asked = {"lanes": [lane.value for lane in Lane], "most": 50, "now": NOON}
    with db.transaction() as session:
        plan = session.execute(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {HOW_MANY.text}"), asked).scalar_one()
    assert rows_read(plan[0]["Plan"]) <= 50 + 1 + 1, plan


def rows_read(node: dict[str, Any]) -> float:
    """Of the table of jobs, in this part of a plan."""
    own = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) if node.get("Relation Name") == "jobs" else 0
    return float(own * node["Actual Loops"] + sum(rows_read(part) for part in node.get("Plans", ())))
