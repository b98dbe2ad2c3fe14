"""The state machine: random programs over the real verbs on a real Postgres, with workers that stall and processes that die.

After every step the rows are read with plain SQL and held against the model and against the invariants, which know no model.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.domain.claim import Claim
from factory.domain.status import Phase
from factory.errors import BadPicture, FactoryError, LeaseLost, OutOfVram, Refused, StorageDown
from factory.jobs.answer_once import Answer, answer_once
from factory.jobs.cancel import cancel_job
from factory.jobs.claim_job import claim_job
from factory.jobs.close_job import close_job
from factory.jobs.count_waiting import count_waiting
from factory.jobs.end_attempt import RetryRules, end_attempt, release_job
from factory.jobs.expire_jobs import expire_jobs
from factory.jobs.renew_leases import renew_leases
from factory.jobs.replay_dead_letters import replay_dead_letters
from factory.jobs.requeue_lost_jobs import requeue_lost_jobs
from factory.jobs.submit_job import submit_job
from tests.integration.jobs.books import LEASE, SHA, Books, Clock, admitted, finished, make_tenant
from tests.integration.jobs.model import OPEN, Known, best_for
from tests.integration.jobs.truth import Row, check_invariants, read_rows

WORKERS = ("w1", "w2", "w3")
OPERATOR = Actor("operator", "test")
RULES = RetryRules(max_failures=3)
MAX_LOST_LEASES = 3
FAULTS = (Refused("no"), BadPicture(), StorageDown(), OutOfVram(), ValueError("a bug of ours"))

workers = st.sampled_from(WORKERS)
# How a call ends for whoever made it. "lost": the process died after the commit; "died": before it.
ends = st.sampled_from(("returned", "returned", "returned", "lost", "died"))
resident = st.sampled_from(((), ("default",), ("other",), ("default", "other")))
which = st.integers(0, 1000)


class Died(BaseException):
    """The process is gone; nobody in it learns anything any more."""


class MortalDatabase(Database):
    """A database whose caller dies at its next transaction: `end` says whether just before the commit or just after."""

    end = "returned"

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with super().transaction() as session:
            yield session
            if self.end == "died":
                raise Died
        if self.end == "lost":
            raise Died


class JobsMachine(RuleBasedStateMachine):
    """Give it a migrated database; every example works under a tenant of its own and leaves no open job behind."""

    # Tests that plant a bug replace one of these.
    close_job: ClassVar[Callable[..., None]] = staticmethod(close_job)
    renew_leases: ClassVar[Callable[..., set[uuid.UUID]]] = staticmethod(renew_leases)
    requeue_lost_jobs: ClassVar[Callable[..., Any]] = staticmethod(requeue_lost_jobs)

    def __init__(self, db: MortalDatabase, sql: psycopg.Connection) -> None:
        super().__init__()
        assert isinstance(db.clock, Clock)
        self.db, self.sql, self.clock = db, sql, db.clock
        self.jobs: dict[uuid.UUID, Known] = {}
        self.claims: list[Claim] = []
        self.caller = Caller(tenant=f"t-{uuid.uuid4().hex[:12]}", name="fk_machine")
        self.orders = 0

    @initialize()
    def open_shop(self) -> None:
        make_tenant(self.sql, self.caller.tenant)

    @property
    def now(self) -> datetime:
        return self.clock()

    def call(self, end: str, verb: Callable[[], Any]) -> Any:
        """What the verb returned, or Died itself when its caller did not live to see it."""
        self.db.end = end
        try:
            return verb()
        except Died:
            return Died
        finally:
            self.db.end = "returned"

    def rows(self) -> dict[uuid.UUID, Row]:
        return read_rows(self.sql, self.caller.tenant)

    def some_job(self, number: int) -> Known:
        return list(self.jobs.values())[number % len(self.jobs)]

    def some_claim(self, number: int, *, fresh: bool) -> Claim:
        """A claim that holds its job, or any that was ever made, where there is none."""
        holding = [claim for claim in self.claims if self.jobs[claim.job_id].is_held_by(claim)]
        pool = holding if fresh and holding else self.claims
        return pool[number % len(pool)]

    @rule(
        lane=st.sampled_from(("interactive", "bulk")),
        model=st.sampled_from(("default", "other")),
        expires_in=st.sampled_from((None, None, None, 90)),
        prompt=st.sampled_from(("a kettle", "a kettle", "a kettle", "a forbidden kettle")),
        end=ends,
    )
    def submit(self, lane: str, model: str, expires_in: int | None, prompt: str, end: str) -> None:
        """A caller that died or never got its answer sends the same order again."""
        self.clock.advance(0.001)
        self.orders += 1
        key = f"order-{self.orders}"
        order = admitted(prompt=prompt, priority=lane, model=model, expires_in=expires_in)

        def act(session: Session, now: Any) -> Answer:
            return Answer(202, {"id": str(submit_job(session, now, self.caller, order))})

        def verb() -> Answer:
            return answer_once(self.db, tenant=self.caller.tenant, key=key, request_sha256=SHA, act=act)

        answer = self.call(end, verb)
        if answer is Died:
            answer = verb()
            assert answer.replayed == (end == "lost")
        job = Known(uuid.UUID(answer.body["id"]), lane, model, self.now)
        job.expires_at = self.now + timedelta(seconds=expires_in) if expires_in else None
        job.become("rejected" if "forbidden" in prompt else "queued")
        self.jobs[job.id] = job

    @rule(worker=workers, resident=resident, end=ends)
    def claim(self, worker: str, resident: tuple[str, ...], end: str) -> None:
        """A claim whose worker died after the commit is known to nobody: only its lease will free the job."""
        best = best_for(list(self.jobs.values()), worker, resident, self.now)
        claim = self.call(end, lambda: claim_job(self.db, worker=worker, lease=LEASE, resident=resident))
        if end == "died" and claim is Died:
            return
        if claim is not Died:
            assert (claim and claim.job_id) == (best and best.id)
        if best is not None:
            best.take(worker, self.now + LEASE)
            if claim is not Died:
                assert (claim.attempt, claim.worker) == (best.attempt, worker)
                self.claims.append(claim)

    @rule(seconds=st.sampled_from((1, 10, 25, 61, 61, 61, 130, 400)))
    def stall(self, seconds: int) -> None:
        """Nobody does anything for a while; 61 seconds outlast a lease."""
        self.clock.advance(seconds)

    @precondition(lambda self: self.claims)
    @rule(number=which, fresh=st.booleans(), phase=st.sampled_from(Phase), end=ends)
    def renew(self, number: int, fresh: bool, phase: Phase, end: str) -> None:
        claim = self.some_claim(number, fresh=fresh)
        job = self.jobs[claim.job_id]
        holds = job.is_held_by(claim)
        still = self.call(end, lambda: self.renew_leases(self.db, {claim: phase}, LEASE))
        if still is Died and end == "died":
            return
        assert still is Died or still == ({job.id} if holds else set())
        if holds:
            job.renew(self.now, LEASE)

    @precondition(lambda self: self.claims)
    @rule(number=which, fresh=st.booleans(), end=ends)
    def close(self, number: int, fresh: bool, end: str) -> None:
        """A worker that died in between and comes back closes again: the second time there is nothing to close."""
        claim = self.some_claim(number, fresh=fresh)
        job = self.jobs[claim.job_id]
        for how in (end, "returned") if end == "lost" else (end,):
            holds = job.is_held_by(claim)
            try:
                learned = self.call(how, lambda: self.close_job(self.db, claim, finished(claim)))
            except LeaseLost:
                assert not holds, "the holder was turned away"
                continue
            if how == "died" and learned is Died:
                continue
            assert holds, f"attempt {claim.attempt} of {claim.worker} closed a job that it did not hold"
            job.become("succeeded")

    @precondition(lambda self: self.claims)
    @rule(number=which, fresh=st.booleans(), fault=st.sampled_from(FAULTS), end=ends)
    def end_attempt(self, number: int, fresh: bool, fault: Exception, end: str) -> None:
        claim = self.some_claim(number, fresh=fresh)
        job = self.jobs[claim.job_id]
        for how in (end, "returned") if end == "lost" else (end,):
            holds = job.is_held_by(claim)
            try:
                learned = self.call(how, lambda: end_attempt(self.db, claim, fault, RULES))
            except LeaseLost:
                assert not holds, "the holder was turned away"
                continue
            if learned is Died and (how == "died" or not holds):
                continue
            assert holds, f"attempt {claim.attempt} of {claim.worker} ended a job that it did not hold"
            failures = job.failures
            job.fail(fault, RULES.max_failures)
            assert learned in (job.status, Died)
            if job.status == "queued":
                job.not_before = self.rows()[job.id].not_before
                assert job.not_before is not None
                assert self.now <= job.not_before <= self.now + RULES.base * 2**failures

    @precondition(lambda self: self.claims)
    @rule(number=which, fresh=st.booleans(), end=ends)
    def release(self, number: int, fresh: bool, end: str) -> None:
        claim = self.some_claim(number, fresh=fresh)
        job = self.jobs[claim.job_id]
        for how in (end, "returned") if end == "lost" else (end,):
            holds = job.is_held_by(claim)
            released = self.call(how, lambda: release_job(self.db, claim))
            if released is Died and how == "died":
                continue
            assert released in (holds, Died)
            if holds:
                job.become("queued")

    @precondition(lambda self: self.jobs)
    @rule(number=which, end=ends)
    def cancel(self, number: int, end: str) -> None:
        """Again after a lost answer, and again because customers do: only the first one counts."""
        job = self.some_job(number)
        for how in (end, "returned"):
            was_open = job.status in OPEN
            receipt = self.call(how, lambda: cancel_job(self.db, tenant=self.caller.tenant, job_id=job.id, actor=OPERATOR))
            if receipt is Died and how == "died":
                continue
            assert receipt is Died or receipt.canceled == int(was_open)
            if was_open:
                job.become("canceled")

    @rule(end=ends)
    def expire(self, end: str) -> None:
        due = [job for job in self.jobs.values() if job.status == "queued" and job.expires_at and job.expires_at <= self.now]
        expired = self.call(end, lambda: expire_jobs(self.db))
        if expired is Died and end == "died":
            return
        assert expired in (len(due), Died)
        for job in due:
            job.become("expired")

    @rule(end=ends)
    def requeue(self, end: str) -> None:
        lost = [job for job in self.jobs.values() if job.status == "running" and job.lease_until and job.lease_until < self.now]
        requeued = self.call(end, lambda: self.requeue_lost_jobs(self.db, max_lost_leases=MAX_LOST_LEASES))
        if requeued is Died and end == "died":
            return
        for job in lost:
            job.lose(self.now, MAX_LOST_LEASES)
        if requeued is not Died:
            dead = sum(job.dead_letter for job in lost)
            assert (requeued.requeued, requeued.dead_lettered) == (len(lost) - dead, dead)

    @precondition(lambda self: any(job.dead_letter for job in self.jobs.values()))
    @rule(end=ends)
    def replay(self, end: str) -> None:
        dead = [job for job in self.jobs.values() if job.dead_letter]
        replayed = self.call(end, lambda: replay_dead_letters(self.db, actor=OPERATOR, tenant=self.caller.tenant))
        if replayed is Died and end == "died":
            return
        assert replayed in (len(dead), Died)
        for job in dead:
            job.replay()

    @rule(worker=workers)
    def lose_ring(self, worker: str) -> None:
        """Nobody was told of any order: upkeep still sees all that waits, and a worker that looks by itself gets its best job."""
        waiting = count_waiting(self.db)
        statuses = [job.status for job in self.jobs.values()]
        assert (waiting.queued, waiting.running) == (statuses.count("queued"), statuses.count("running"))
        self.claim(worker, (), "returned")

    @invariant()
    def rows_are_what_the_model_says(self) -> None:
        rows = self.rows()
        assert rows.keys() == self.jobs.keys()
        check_invariants(rows.values())
        for job in self.jobs.values():
            row = rows[job.id]
            assert (row.status, row.attempt, row.worker, row.lease_until) == (job.status, job.attempt, job.worker, job.lease_until)
            assert (row.failures, row.lost_leases, row.dead) == (job.failures, job.lost_leases, job.dead_letter)
            assert [(event.was, event.became, event.attempt) for event in row.events] == job.changes, "the log is not what happened"

    def teardown(self) -> None:
        """The faults are over: one worker that is left alone brings every open job to its end."""
        try:
            if sys.exception() is None:
                self._drain()
        finally:
            self.sql.execute(
                "UPDATE jobs SET status = 'canceled', lease_until = NULL, worker = NULL WHERE status IN ('queued', 'running')"
            )

    def _drain(self) -> None:
        self.clock.advance(LEASE.total_seconds() + 400)
        self.requeue("returned")
        self.clock.advance(61)
        self.expire("returned")
        for _ in self.jobs:
            self.claim("w1", (), "returned")
            if self.jobs and any(job.status == "running" for job in self.jobs.values()):
                self.close(0, True, "returned")
        self.rows_are_what_the_model_says()
        assert [job for job in self.jobs.values() if job.status in OPEN] == [], "work was left that nobody will ever do"
