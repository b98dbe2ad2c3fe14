"""Jobs of a checkpoint that one worker's disk lacks: another worker takes them, and nothing is taken and given back over and over."""

from __future__ import annotations

import uuid
from pathlib import Path

import psycopg
import pytest

from factory.db import Database
from factory.domain.caller import Caller
from factory.jobs.claim_drawable import claim_drawable
from factory.jobs.claim_lists import OVERDUE_SECONDS
from factory.jobs.worker_run import WorkerRun
from factory.workers.engines.simulated import SimulatedEngine, write_checkpoint
from factory.workers.gpu import Gpu
from factory.workers.pipeline_cache import PipelineCache
from tests.integration.jobs.books import LEASE, Clock, chain, job_row, register, submit


class Hand:
    """A GPU worker's way to its next job. `shelf` is its disk, with folders of these checkpoints."""

    def __init__(self, db: Database, shelf: Path, *checkpoints: str) -> None:
        self.db, self.shelf = db, shelf
        for name in checkpoints:
            write_checkpoint(shelf / name)
        self.gpu = Gpu(PipelineCache({"simulated": SimulatedEngine(0)}, shelf, budget_bytes=10**9), shelf.name)
        self.run = WorkerRun(lambda: False)

    def claim(self, *loading: str) -> uuid.UUID | None:
        claim = claim_drawable(self.db, self.gpu, self.run, worker=self.gpu.name, lease=LEASE, drawing=loading)
        return claim.job_id if claim else None


@pytest.fixture
def bare(db: Database, sql: psycopg.Connection, tmp_path: Path) -> Hand:
    """It has no folder of `other`."""
    register(sql, "default", "other")
    return Hand(db, tmp_path / "bare", "default")


def actions(sql: psycopg.Connection, job_id: uuid.UUID) -> list[str]:
    return [action for action, *_ in chain(sql, job_id)]


def test_another_worker_takes_it(bare: Hand, db: Database, caller: Caller, sql: psycopg.Connection, tmp_path: Path) -> None:
    theirs, mine = submit(db, caller, model="other"), submit(db, caller)
    assert bare.claim() == mine
    row = job_row(sql, theirs)
    assert (row["status"], row["failures"], row["lost_leases"], row["error"], row["avoid_worker"]) == ("queued", 0, 0, None, None)
    assert Hand(db, tmp_path / "stocked", "default", "other").claim() == theirs
    assert actions(sql, theirs) == ["job.submitted", "job.started", "job.released", "job.started"]
    assert job_row(sql, theirs)["worker"] == "stocked"


def test_alone_it_takes_one_once_and_the_others_never(
    bare: Hand, db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection
) -> None:
    jobs = [submit(db, caller, model="other", priority=priority) for priority in ("interactive", "interactive", "bulk")]
    for loading in ((), ("default",), ("other",)):
        assert bare.claim(*loading) is None
        clock.advance(OVERDUE_SECONDS)
    assert actions(sql, jobs[0]) == ["job.submitted", "job.started", "job.released"]
    assert [actions(sql, job) for job in jobs[1:]] == [["job.submitted"]] * 2


def test_what_is_being_loaded_and_is_gone_from_the_disk_is_not_asked_for_again(
    bare: Hand, db: Database, caller: Caller, sql: psycopg.Connection
) -> None:
    job = submit(db, caller, model="other")
    assert bare.claim("other") is None
    assert actions(sql, job) == ["job.submitted", "job.started", "job.released"]


def test_the_next_claim_sees_a_folder_that_has_come(bare: Hand, db: Database, caller: Caller) -> None:
    job = submit(db, caller, model="other")
    assert bare.claim() is None
    write_checkpoint(bare.shelf / "other")
    assert bare.claim() == job
    assert bare.run.lacks == set()
