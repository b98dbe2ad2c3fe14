"""The state machine: random programs over the real verbs on a real Postgres, with workers that stall and processes that die.

After every step the rows are read with plain SQL and held against the model and against the invariants, which know no model.
"""

from __future__ import annotations

import random
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, cast

import psycopg
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy.orm import Session

from factory.db import Compiled, Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.domain.claim import Claim
from factory.domain.status import Phase
from factory.errors import BadPicture, LeaseLost, OutOfVram, Refused, StorageDown
from factory.jobs.answer_once import Answer, answer_once
from factory.jobs.claim_job import claim_job
from factory.jobs.close_job import close_job
from factory.jobs.count_waiting import count_waiting
from factory.jobs.end_attempt import RetryRules, end_attempt, release_job
from factory.jobs.expire_jobs import expire_jobs
from factory.jobs.raise_marks import raise_marks
from factory.jobs.renew_leases import renew_leases
from factory.jobs.replay_dead_letters import replay_dead_letters
from factory.jobs.requeue_lost_jobs import requeue_lost_jobs
from factory.jobs.submit_job import submit_job
from tests.integration.canceling import cancel_job
from tests.integration.jobs.books import LEASE, SHA, Clock, admitted, finished, make_tenant, register
from tests.integration.jobs.model import OPEN, Known, best_for
from tests.integration.jobs.truth import Row, check_invariants, check_marks, read_rows

WORKERS = ("w1", "w2", "w3")
OPERATOR = Actor("operator", "test")
RULES = RetryRules(max_failures=3)
MAX_LOST_LEASES = 3
FAULTS = (Refused("no"), BadPicture(), StorageDown(), OutOfVram(), ValueError("a bug of ours"))

# How a call ends for whoever made it. "lost": the process died after the commit; "died": before it.
ends = ("returned", "returned", "returned", "lost", "died")
resident = ((), ("default",), ("other",), ("default", "other"))
deeds = (*Phase, "close", "close", "release", *FAULTS)
which = range(100)
CROWD = 3  # few open jobs at a time, so that the same one meets several workers


def some(*statuses: str) -> Callable[[JobsMachine], bool]:
    """A rule that could do nothing is no step: it waits until there is such a job."""
    return lambda self: any(job.status in statuses for job in self.jobs.values())


@dataclass(frozen=True)
class Step:
    """Something that may happen: when, how often beside the others, and what is drawn for it."""

    when: Callable[[JobsMachine], Any]
    weight: int
    arguments: Mapping[str, Sequence[Any]]


STEPS: dict[str, Step] = {}


def step(when: Callable[[JobsMachine], Any], weight: int = 1, **arguments: Sequence[Any]) -> Callable[[Any], Any]:
    """Steps instead of Hypothesis' own rules: those are switched off by lot in each example, and a worker that comes back
    needs all of them. One rule draws the step, so that every step that can do something is as likely as its weight."""

    def register(method: Callable[..., None]) -> Callable[..., None]:
        STEPS[method.__name__] = Step(when, weight, arguments)
        return method

    return register


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

    def run_alone(self, statement: Compiled, binds: Mapping[str, Any]) -> list[Any]:
        if self.end == "died":
            raise Died
        rows = super().run_alone(statement, binds)
        if self.end == "lost":
            raise Died
        return rows


class JobsMachine(RuleBasedStateMachine):
    """Give it a migrated database; every example works under a tenant of its own and leaves no open job behind."""

    # Tests that plant a bug replace one of these.
    close_job: ClassVar[Callable[..., None]] = staticmethod(close_job)
    renew_leases: ClassVar[Callable[..., set[Claim]]] = staticmethod(renew_leases)
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
        register(self.sql, "default", "other")
        self.submit("interactive", "default", None, "a kettle", "returned")
        self.submit("bulk", "other", 90, "a mug", "returned")

    @rule(dice=st.integers(0, 2**32 - 1))
    def go_on(self, dice: int) -> None:
        """One number decides it all: what is possible hangs on the rows, but Hypothesis wants to be asked the same each time."""
        chance = random.Random(dice)
        name = chance.choice([name for name, step in STEPS.items() if step.when(self) for _ in range(step.weight)])
        drawn = {argument: chance.choice(values) for argument, values in STEPS[name].arguments.items()}
        note(f"{name}({drawn})")
        getattr(self, name)(**drawn)

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

    @property
    def holders(self) -> list[Claim]:
        """Claims that hold their job."""
        return [claim for claim in self.claims if self.jobs[claim.job_id].is_held_by(claim)]

    @property
    def formers(self) -> list[Claim]:
        """Claims whose job is drawn by somebody else now, or again by the same worker."""
        running = [claim for claim in self.claims if self.jobs[claim.job_id].status == "running"]
        return [claim for claim in running if not self.jobs[claim.job_id].is_held_by(claim)]

    @property
    def leftovers(self) -> list[Claim]:
        """Claims whose job nobody draws now."""
        return [claim for claim in self.claims if self.jobs[claim.job_id].status != "running"]

    @step(
        lambda self: sum(job.status in OPEN for job in self.jobs.values()) < CROWD,
        weight=3,
        lane=("interactive", "bulk"),
        model=("default", "other"),
        expires_in=(None, None, None, 90),
        prompt=("a kettle", "a kettle", "a kettle", "a forbidden kettle"),
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

    @step(some("queued"), weight=3, worker=WORKERS, resident=resident, ahead=(False, True), end=ends)
    def claim(self, worker: str, resident: tuple[str, ...], ahead: bool, end: str) -> None:
        """A claim whose worker died after the commit is known to nobody: only its lease will free the job."""
        for row in self.rows().values():
            self.jobs[row.id].vft, self.jobs[row.id].turn = row.vft, row.turn
        best = best_for(list(self.jobs.values()), worker, resident, self.now)
        claim = self.call(end, lambda: claim_job(self.db, worker=worker, lease=LEASE, resident=resident, ahead=ahead))
        if end == "died" and claim is Died:
            return
        if claim is not Died:
            assert (claim and claim.job_id) == (best and best.id), f"{claim} instead of {best}"
        if best is not None:
            best.take(worker, self.now + LEASE, ahead=ahead)
            if claim is not Died:
                assert (claim.attempt, claim.worker) == (best.attempt, worker)
                self.claims.append(claim)

    @step(lambda self: self.holders, weight=4, number=which, deed=deeds, end=ends)
    def work(self, number: int, deed: str | Exception, end: str) -> None:
        self.do(self.holders[number % len(self.holders)], deed, end)

    @step(lambda self: self.formers, weight=5, number=which, deed=deeds, end=ends)
    def come_back(self, number: int, deed: str | Exception, end: str) -> None:
        """A worker that was given up for dead, and whose job is drawn elsewhere by now, goes on as if nothing had happened."""
        self.do(self.formers[number % len(self.formers)], deed, end)

    @step(lambda self: self.leftovers, weight=2, number=which, deed=deeds, end=ends)
    def come_too_late(self, number: int, deed: str | Exception, end: str) -> None:
        """The same, after the job was requeued, canceled or ended."""
        self.do(self.leftovers[number % len(self.leftovers)], deed, end)

    def do(self, claim: Claim, deed: str | Exception, end: str) -> None:
        if isinstance(deed, Phase):
            self.clock.advance(25)
            self.renew(claim, deed, end)
        elif deed == "close":
            self.close(claim, end)
        elif deed == "release":
            self.release(claim, end)
        else:
            assert isinstance(deed, Exception)
            self.end_attempt(claim, deed, end)

    @step(some(*OPEN), weight=1, seconds=(1, 10, 25, 61, 400))
    def stall(self, seconds: int) -> None:
        """Nobody does anything for a while; 61 seconds outlast a lease."""
        self.clock.advance(seconds)

    def renew(self, claim: Claim, phase: Phase, end: str) -> None:
        job = self.jobs[claim.job_id]
        holds = job.is_held_by(claim)
        still = self.call(end, lambda: self.renew_leases(self.db, {claim: phase}, LEASE))
        if still is Died and end == "died":
            return
        assert still is Died or still == ({claim} if holds else set())
        if holds:
            job.renew(self.now, LEASE, phase.value)

    def close(self, claim: Claim, end: str) -> None:
        """A worker that died in between and comes back closes again: the second time there is nothing to close."""
        job = self.jobs[claim.job_id]
        for how in (end, "returned") if end == "lost" else (end,):
            holds = job.is_held_by(claim)
            try:
                learned = self.call(how, lambda: self.close_job(self.db, claim, finished(claim)))
            except LeaseLost:
                assert not holds, "the holder was turned away"
                continue
            if learned is Died and (how == "died" or not holds):
                continue
            assert holds, f"attempt {claim.attempt} of {claim.worker} closed a job that it did not hold"
            job.become("succeeded")

    def end_attempt(self, claim: Claim, fault: Exception, end: str) -> None:
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

    def release(self, claim: Claim, end: str) -> None:
        job = self.jobs[claim.job_id]
        for how in (end, "returned") if end == "lost" else (end,):
            holds = job.is_held_by(claim)
            released = self.call(how, lambda: release_job(self.db, claim))
            if released is Died and how == "died":
                continue
            assert released in (holds, Died)
            if holds:
                job.become("queued")

    @step(some(*OPEN), weight=1, number=which, end=ends)
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

    @property
    def due(self) -> list[Known]:
        return [job for job in self.jobs.values() if job.status == "queued" and job.expires_at and job.expires_at <= self.now]

    @property
    def lost(self) -> list[Known]:
        return [job for job in self.jobs.values() if job.status == "running" and job.lease_until and job.lease_until < self.now]

    @step(lambda self: self.due, weight=1, end=ends)
    def expire(self, end: str) -> None:
        due = self.due
        expired = self.call(end, lambda: expire_jobs(self.db))
        if expired is Died and end == "died":
            return
        assert expired in (len(due), Died)
        for job in due:
            job.become("expired")

    @step(lambda self: self.lost, weight=1, end=ends)
    def requeue(self, end: str) -> None:
        lost = self.lost
        requeued = self.call(end, lambda: self.requeue_lost_jobs(self.db, max_lost_leases=MAX_LOST_LEASES))
        if requeued is Died and end == "died":
            return
        for job in lost:
            job.lose(self.now, MAX_LOST_LEASES)
        if requeued is not Died:
            dead = sum(job.dead_letter for job in lost)
            assert (requeued.requeued, requeued.dead_lettered) == (len(lost) - dead, dead)

    @step(some("running"), weight=3, worker=WORKERS)
    def lose_worker(self, worker: str) -> None:
        """Whoever works stalls for longer than a lease; upkeep takes the jobs back, and the next worker comes."""
        self.stall(61)
        self.requeue("returned")
        self.claim(worker, (), False, "returned")

    @step(lambda self: any(job.dead_letter for job in self.jobs.values()), weight=1, end=ends)
    def replay(self, end: str) -> None:
        dead = [job for job in self.jobs.values() if job.dead_letter]
        replayed = self.call(end, lambda: replay_dead_letters(self.db, actor=OPERATOR, tenant=self.caller.tenant))
        if replayed is Died and end == "died":
            return
        assert replayed in (len(dead), Died)
        for job in dead:
            job.replay(self.now)

    @step(some(*OPEN), weight=2)
    def raise_marks(self) -> None:
        """Nobody's job may be lost by it: the invariant looks."""
        assert raise_marks(self.db)

    @step(some("queued"), weight=1, worker=WORKERS)
    def lose_ring(self, worker: str) -> None:
        """Nobody was told of any order: upkeep still sees all that waits, and a worker that looks by itself gets its best job."""
        self.requeue("returned")
        self.expire("returned")
        waiting = count_waiting(self.db)
        statuses = [job.status for job in self.jobs.values()]
        assert (waiting.queued, waiting.running) == (statuses.count("queued"), statuses.count("running"))
        self.claim(worker, (), False, "returned")

    @invariant()
    def rows_are_what_the_model_says(self) -> None:
        rows = self.rows()
        assert rows.keys() == self.jobs.keys()
        check_invariants(rows.values())
        check_marks(self.sql)
        for job in self.jobs.values():
            row = rows[job.id]
            assert (row.status, row.attempt, row.worker, row.phase) == (job.status, job.attempt, job.worker, job.phase)
            assert row.lease_until == job.lease_until
            assert row.ready_at == job.ready_at
            assert (row.not_before, row.avoid_worker) == (job.not_before, job.avoid_worker)
            assert (row.failures, row.lost_leases, row.dead) == (job.failures, job.lost_leases, job.dead_letter)
            assert [(event.was, event.became, event.attempt) for event in row.events] == job.changes, "the log is not what happened"

    def teardown(self) -> None:
        """The faults are over: one worker that is left alone brings every open job to its end."""
        try:
            if sys.exception() is None:
                self._drain()
        finally:
            self.sql.execute("UPDATE jobs SET status = 'canceled', lease_until = NULL, worker = NULL WHERE status IN ('queued', 'running')")

    def _drain(self) -> None:
        avoided = [job.avoid_worker for job in self.jobs.values() if job.status in OPEN and job.avoid_worker]
        lonely = avoided[0] if avoided else "w1"
        self.clock.advance(LEASE.total_seconds() + 400)
        self.requeue("returned")
        self.clock.advance(61)
        self.expire("returned")
        for _ in self.jobs:
            self.claim(lonely, (), False, "returned")
            if any(job.status == "running" for job in self.jobs.values()):
                self.close(self.holders[0], "returned")
        self.rows_are_what_the_model_says()
        assert [job for job in self.jobs.values() if job.status in OPEN] == [], "work was left that nobody will ever do"


def run(machine: type[JobsMachine], db: MortalDatabase, sql: psycopg.Connection, search: settings) -> None:
    """Raises what the first program ran into that left the jobs table wrong."""

    def opened() -> JobsMachine:
        return machine(db, sql)

    run_state_machine_as_test(cast("type[JobsMachine]", opened), settings=search)
