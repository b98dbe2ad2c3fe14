"""Rows that change after a claim's snapshot and before it locks them: the claim goes by what they are then."""

from __future__ import annotations

import importlib
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from sqlalchemy import TextClause, text

from factory.db import Database
from factory.domain.caller import Caller
from factory.domain.claim import Claim
from factory.jobs.claim_job import claim_job
from factory.jobs.claim_lists import Run
from tests.integration.jobs.books import LEASE, chain, job_row, register, submit_rows, take

claim_module = importlib.import_module("factory.jobs.claim_job")
Meanwhile = Callable[..., Any]
GATE = "pg_advisory_xact_lock(20260301)"
AT_THE_GATE = "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch, db: Database, sql: psycopg.Connection) -> Iterator[Meanwhile]:
    """A claim that has its snapshot and has read no row yet, while the given statement runs and commits."""
    real = claim_module.claim_statement

    def gated(*args: Any, **how: Any) -> TextClause:
        return text(real(*args, **how).text.replace("coalesce(", f"coalesce((SELECT CAST(NULL AS jobs) FROM {GATE}), ", 1))

    monkeypatch.setattr(claim_module, "claim_statement", gated)
    with ThreadPoolExecutor(1) as pool:

        def run(change: str, ask: Callable[[Database], Claim | None] = take, **binds: Any) -> Claim | None:
            with psycopg.connect(sql.info.dsn, password=sql.info.password) as gate:
                gate.execute(f"SELECT {GATE}")
                claim = pool.submit(ask, db)
                while sql.execute(AT_THE_GATE).fetchone() != (True,):
                    assert not claim.done(), claim.result()
                    time.sleep(0.01)
                sql.execute(change, binds)
            return claim.result(timeout=20)

        yield run


def waiting(sql: psycopg.Connection, by: str) -> list[uuid.UUID]:
    return [job_id for (job_id,) in sql.execute(f"SELECT id FROM jobs WHERE status = 'queued' ORDER BY {by}, id").fetchall()]


def test_the_head_is_taken_as_it_is_now(meanwhile: Meanwhile, db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [{}] * 3)
    head, *others = waiting(sql, "vft")
    claim = meanwhile("UPDATE jobs SET vft = vft + 0.25, attempt = attempt + 1 WHERE id = %(id)s", id=head)
    assert (claim.job_id, claim.attempt, job_row(sql, head)["attempt"]) == (head, 2, 2)
    assert chain(sql, head)[1:] == [("job.started", "queued", "running", 2)]
    assert waiting(sql, "vft") == others


def test_places_are_exchanged_as_they_are_now(meanwhile: Meanwhile, db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [{"user": "ana"}] * 3)
    submit_rows(db, caller, [{"user": "ben"}] * 3)
    take(db)
    head, turn = waiting(sql, "vft")[0], waiting(sql, "turn")[0]
    assert head != turn, "ana's second stands first, and ben is next"
    places = {job_id: job_row(sql, job_id)["vft"] + late for job_id, late in ((head, 0.25), (turn, 0.125))}
    move = "UPDATE jobs SET vft = CASE id WHEN %(head)s THEN %(of_head)s ELSE %(of_turn)s END WHERE id IN (%(head)s, %(turn)s)"
    claim = meanwhile(move, head=head, turn=turn, of_head=places[head], of_turn=places[turn])
    assert claim.job_id == turn
    assert (job_row(sql, turn)["vft"], job_row(sql, head)["vft"]) == (places[head], places[turn])
    assert job_row(sql, head)["status"] == "queued"


def test_a_head_that_somebody_took_is_passed_over(meanwhile: Meanwhile, db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    submit_rows(db, caller, [{}] * 3)
    head, second, _ = waiting(sql, "vft")
    claim = meanwhile("UPDATE jobs SET status = 'running', attempt = 1, worker = 'w2', lease_until = now() WHERE id = %(id)s", id=head)
    assert claim.job_id == second
    assert (job_row(sql, head)["worker"], len(chain(sql, head))) == ("w2", 1), "no event of ours"


def test_of_a_few_rows_no_second_worker_takes_the_next_because_the_first_is_taken_meanwhile(
    meanwhile: Meanwhile, db: Database, caller: Caller, sql: psycopg.Connection
) -> None:
    """A ring wakes every idle worker at the same moment: one loads for the order's first row, the others must not load for the next ones."""
    register(sql, "default")
    submit_rows(db, caller, [{}] * 3)
    head, *others = waiting(sql, "vft")
    begun = "UPDATE jobs SET status = 'running', worker = 'other', attempt = 1, lease_until = now() + interval '1 hour' WHERE id = %(id)s"

    def idle_worker(db: Database) -> Claim | None:
        return claim_job(db, worker="idle", lease=LEASE, run=Run())

    assert meanwhile(begun, idle_worker, id=head) is None
    assert waiting(sql, "vft") == others
