"""Lanes: closed and opened again, once each, on the record; a look at the queue counts no more than it must."""

from __future__ import annotations

import psycopg
import pytest

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.domain.status import Lane
from factory.jobs import lanes
from factory.jobs.claim_job import claim_job
from factory.jobs.lanes import lane_states, pause_lane, resume_lane
from factory.jobs.queue_state import queue_state
from tests.integration.jobs.books import LEASE, NOON, Clock, submit, submit_rows, take

OPERATOR = Actor("operator", "ops")


def test_a_paused_lane_gives_nothing_until_it_is_resumed(db: Database, caller: Caller) -> None:
    bulk = submit(db, caller, priority="bulk")
    running = submit(db, caller)
    claim = take(db)
    pause_lane(db, lane=Lane.BULK, actor=OPERATOR)
    assert claim.job_id == running
    assert claim_job(db, worker="w1", lease=LEASE, resident=("default",)) is None
    click = submit(db, caller)
    assert take(db).job_id == click
    resume_lane(db, lane=Lane.BULK, actor=OPERATOR)
    assert take(db).job_id == bulk


def test_both_are_idempotent_and_on_the_record(db: Database, clock: Clock, sql: psycopg.Connection) -> None:
    assert resume_lane(db, lane=Lane.BULK, actor=OPERATOR) is False
    assert pause_lane(db, lane=Lane.BULK, actor=OPERATOR) is True
    clock.advance(60)
    assert pause_lane(db, lane=Lane.BULK, actor=Actor("operator", "another")) is False
    view = {one.lane: one for one in lane_states(db)}[Lane.BULK]
    assert (view.paused_at, view.paused_by) == (NOON, "ops")
    assert resume_lane(db, lane=Lane.BULK, actor=OPERATOR) is True
    assert pause_lane(db, lane=Lane.BULK, actor=OPERATOR) is True
    events = sql.execute("SELECT tenant, actor, action, detail FROM audit_events ORDER BY id").fetchall()
    assert events == [("factory", "ops", action, {"lane": "bulk"}) for action in ("lane.paused", "lane.resumed", "lane.paused")]


def test_a_look_at_the_queue(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "COUNTED", 5)
    submit_rows(db, caller, [{"seed": n} for n in range(8)])
    submit(db, caller)
    submit(db, caller, priority="offpeak")
    sql.execute("UPDATE jobs SET hold = 'paused' WHERE lane = 'offpeak'")
    take(db)
    clock.advance(30)
    sql.execute(
        "INSERT INTO gpu_workers VALUES ('w1', '{default}', '', 3, %s, %s), ('gone', '{}', '', 0, %s, %s)", (NOON, clock(), NOON, NOON)
    )
    clock.advance(31)
    for lane in Lane:
        pause_lane(db, lane=lane, actor=OPERATOR)
    state = queue_state(db)
    assert [(view.lane, view.waiting, view.more, view.head_seconds) for view in state.lanes] == [
        (Lane.INTERACTIVE, 0, False, None),
        (Lane.BULK, 5, True, 61.0),
        (Lane.OFFPEAK, 0, False, None),
    ]
    assert (state.running, [worker.name for worker in state.workers], state.paused) == (1, ["w1"], True)
    resume_lane(db, lane=Lane.BULK, actor=OPERATOR)
    assert queue_state(db).paused is False
