"""Marks: claims start ever later in the queue, and no job that waits is ever behind them."""

from __future__ import annotations

import uuid
from contextlib import ExitStack

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from factory.db import Database
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.caller import Caller
from factory.domain.claim import Claim
from factory.domain.status import JobStatus
from factory.jobs import raise_marks as marks
from factory.jobs.change_status import change_status, pick
from factory.jobs.claim_job import claim_job
from factory.jobs.close_job import close_job
from factory.jobs.end_attempt import release_job
from factory.jobs.held import held
from factory.jobs.raise_marks import raise_marks
from factory.jobs.submit_job import submit_job
from tests.integration.jobs.books import LEASE, admitted, finished, job_row, make_tenant, register, settle, submit, submit_rows, take
from tests.integration.jobs.truth import check_marks

Marks = dict[tuple[str, str, str], tuple[float, float]]


def marks_of(sql: psycopg.Connection) -> Marks:
    """(lane, checkpoint, tenant) → (low, settled)."""
    return {row[:3]: row[3:] for row in sql.execute("SELECT lane, checkpoint, tenant, low, settled FROM queue_marks").fetchall()}


def test_marks_rise_to_what_waits_first(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    register(sql, "default")
    for _ in range(3):
        submit(db, caller)
    take(db)
    settle(db)
    assert marks_of(sql) == {
        ("interactive", "", ""): (1.0, 1.0),
        ("interactive", "default", ""): (1.0, 1.0),
        ("interactive", "default", caller.tenant): (1.0, 1.0),
    }
    assert take(db).attempt == 1


def test_an_empty_queue_has_no_marks(db: Database) -> None:
    settle(db)


def test_what_comes_back_after_its_mark_has_risen_is_lifted_to_it(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    register(sql, "default")
    first = submit(db, caller)
    for _ in range(4):
        submit(db, caller)
    early = take(db)
    assert early.job_id == first
    take(db)
    take(db)
    settle(db)
    assert release_job(db, early)
    assert job_row(sql, first)["vft"] == job_row(sql, first)["turn"] == 2.0
    check_marks(sql)
    assert take(db).job_id == first


def test_an_order_in_flight_is_waited_for(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    """It read its place before the mark rose, and commits afterwards: behind `low`, and still found."""
    register(sql, "default")
    make_tenant(sql, "late")
    for _ in range(10):
        submit(db, caller)
    with db.transaction() as session:
        late = submit_job(session, db.now(), Caller(tenant="late", name="fk_late"), admitted())
        for _ in range(5):
            take(db)
        for _ in range(3):
            assert raise_marks(db)
        low, settled = marks_of(sql)["interactive", "", ""]
        assert low == 3.0
        assert settled < 1.0, "the order is still open"
    settle(db)
    check_marks(sql)
    assert marks_of(sql)["interactive", "", ""] == (3.0, 0.5)
    assert take(db).job_id == late


def test_marks_of_tenants_that_are_gone_are_forgotten(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    register(sql, "default")
    submit(db, caller)
    settle(db)
    take(db)
    settle(db)
    assert ("interactive", "default", caller.tenant) in marks_of(sql)
    raise_marks(db, idle_transactions=0)
    assert ("interactive", "default", caller.tenant) not in marks_of(sql)
    again = submit(db, caller)
    settle(db)
    assert take(db).job_id == again


def test_marks_of_tenants_may_rise_more_seldom(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    register(sql, "default")
    for _ in range(3):
        submit(db, caller)
    settle(db, tenants=False, forget=False)
    assert marks_of(sql).keys() == {("interactive", "", ""), ("interactive", "default", "")}
    settle(db)
    before = marks_of(sql)
    take(db)
    settle(db, tenants=False, forget=False)
    own = "interactive", "default", caller.tenant
    assert marks_of(sql)[own] == before[own]
    assert marks_of(sql)["interactive", "", ""] > before["interactive", "", ""]
    check_marks(sql)
    settle(db)
    assert marks_of(sql)[own] > before[own]


def test_one_process_at_a_time_raises_marks(db: Database, sql: psycopg.Connection) -> None:
    with sql.transaction():
        sql.execute(marks.ALONE.text)
        assert raise_marks(db) is False
    assert raise_marks(db) is True


def test_a_job_comes_back_paused_when_its_batch_was_paused_meanwhile(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}])
    claim = take(db)
    sql.execute("UPDATE batches SET paused_at = now() WHERE id = %s", (batch_id,))
    release_job(db, claim)
    assert job_row(sql, claim.job_id)["hold"] == "paused"


class Crowd:
    """Orders, requeues, claims and ticks in any order, some of their transactions left open for a while."""

    def __init__(self, db: Database, sql: psycopg.Connection) -> None:
        self.db, self.sql = db, sql
        self.callers = [Caller(tenant=f"t-{uuid.uuid4().hex[:12]}", name="fk_crowd") for _ in range(3)]
        for caller in self.callers:
            make_tenant(sql, caller.tenant)
        self.open: dict[int | str, ExitStack] = {}
        self.claims: list[Claim] = []

    def order(self, number: int) -> None:
        """At most one open order of each tenant: a second one would wait for the first."""
        who = number % len(self.callers)
        self.commit_of(who)
        stack = self.open[who] = ExitStack()
        session = stack.enter_context(self.db.transaction())
        lane, model = ("interactive", "bulk")[number % 2], ("default", "other")[number // 2 % 2]
        for _ in range(1 + number % 3):
            submit_job(session, self.db.now(), self.callers[who], admitted(priority=lane, model=model, user=("ana", "ben")[number % 2]))

    def commit(self, number: int) -> None:
        if self.open:
            self.commit_of(list(self.open)[number % len(self.open)])

    def commit_of(self, who: int | str) -> None:
        if stack := self.open.pop(who, None):
            stack.close()

    def tick(self, _: int) -> None:
        assert raise_marks(self.db)

    def claim(self, number: int) -> None:
        claim = claim_job(self.db, worker="w1", lease=LEASE, resident=(("default",), ("other",), ())[number % 3])
        if claim:
            self.claims.append(claim)

    def close(self, number: int) -> None:
        if self.claims:
            claim = self.claims.pop(number % len(self.claims))
            close_job(self.db, claim, finished(claim))

    def release(self, number: int) -> None:
        """In a transaction that stays open."""
        if self.claims and len(self.open) < 8:
            claim = self.claims.pop(number % len(self.claims))
            stack = self.open[str(claim.job_id)] = ExitStack()
            session = stack.enter_context(self.db.transaction())
            actor, action = Actor("worker", "w1"), AuditAction.JOB_RELEASED
            assert change_status(session, pick(*held(claim)), JobStatus.QUEUED, now=self.db.now(), action=action, actor=actor)

    def end(self) -> None:
        """Everything commits; whatever waits is drawn."""
        for who in list(self.open):
            self.commit_of(who)
        for _ in range(3):
            self.tick(0)
        check_marks(self.sql)
        while claim := claim_job(self.db, worker="w1", lease=LEASE):
            self.claims.append(claim)
        left = self.sql.execute("SELECT count(*) FROM jobs WHERE status = 'queued'").fetchone()
        for claim in self.claims:
            close_job(self.db, claim, finished(claim))
        assert left == (0,), "a job waits that no claim finds"

    def give_up(self) -> None:
        for who in list(self.open):
            self.commit_of(who)
        self.sql.execute("UPDATE jobs SET status = 'canceled', lease_until = NULL, worker = NULL WHERE status IN ('queued', 'running')")


STEPS = st.lists(
    st.tuples(st.sampled_from(("order", "order", "commit", "tick", "tick", "claim", "claim", "release", "close")), st.integers(0, 11)),
    min_size=5,
    max_size=50,
)
SEARCH = settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


def play(db: Database, sql: psycopg.Connection, steps: list[tuple[str, int]]) -> None:
    crowd = Crowd(db, sql)
    try:
        for name, number in steps:
            getattr(crowd, name)(number)
            check_marks(sql)
        crowd.end()
    finally:
        crowd.give_up()


@pytest.mark.timeout(600)
@SEARCH
@given(steps=STEPS)
def test_no_waiting_job_is_ever_behind_a_mark(db: Database, sql: psycopg.Connection, steps: list[tuple[str, int]]) -> None:
    register(sql, "default", "other")
    play(db, sql, steps)


@pytest.mark.timeout(600)
def test_the_search_finds_a_mark_that_settles_too_soon(db: Database, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: `settled` takes over `low` without looking at what came in behind it."""
    register(sql, "default", "other")
    hasty = marks.RAISE.text.replace("least(m.low, found.head)) ELSE", "m.low) ELSE")
    assert hasty != marks.RAISE.text
    monkeypatch.setattr(marks, "RAISE", text(hasty))

    @settings(SEARCH, max_examples=200, phases=[Phase.generate], report_multiple_bugs=False)
    @given(steps=STEPS)
    def search(steps: list[tuple[str, int]]) -> None:
        play(db, sql, steps)

    with pytest.raises(AssertionError, match="before a mark"):
        search()
