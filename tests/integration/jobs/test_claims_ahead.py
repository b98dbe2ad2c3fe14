"""What a GPU worker draws while a checkpoint comes, and what of that it gives back."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from factory.db import Database
from factory.domain.caller import Caller
from factory.domain.claim import Claim
from factory.domain.status import Phase
from factory.jobs.claims_ahead import ClaimsAhead
from factory.jobs.lease_keeper import LeaseKeeper
from factory.jobs.worker_run import WorkerRun
from factory.workers.engines.simulated import SimulatedEngine, write_checkpoint
from factory.workers.gpu import Gpu
from factory.workers.pipeline_cache import PipelineCache
from tests.integration.jobs.books import LEASE, Clock, checkpoint, register, submit, submit_rows

PICTURE, LOAD = 0.05, 1.0
WEIGHT = 10**6


class Worker:
    """Draws what it takes, as GpuWorker does. `room`: so many checkpoints fit its card."""

    def __init__(self, db: Database, shelf: Path, room: int) -> None:
        write_checkpoint(shelf / "default", weight=WEIGHT)
        for name in ("other", "third", "fourth"):
            write_checkpoint(shelf / name, weight=WEIGHT, load_seconds=LOAD)
        self.gpu = Gpu(PipelineCache({"simulated": SimulatedEngine(PICTURE)}, shelf, budget_bytes=room * WEIGHT))
        self.keeper, self.run = LeaseKeeper(db, LEASE), WorkerRun(lambda: False)
        self.claims = ClaimsAhead(self.gpu, db, self.keeper, self.run, name="w1", lease=LEASE)
        self.drawn: list[str] = []

    def draw(self, count: int, meanwhile: Callable[[], None] = lambda: None) -> list[str]:
        """The checkpoints of the next pictures, in the order in which they were drawn. `meanwhile` happens before the first is."""
        claim = self.claims.claim()
        meanwhile()
        for _ in range(count):
            assert claim is not None
            self._draw(claim)
            claim = self.claims.take(may_claim=True) or self.claims.claim()
            if claim is None:
                break
        self.left = [*([claim] if claim else []), *self.claims.left()]
        drawn, self.drawn = self.drawn, []
        return drawn

    def _draw(self, claim: Claim) -> None:
        self.claims.look(claim)
        self.keeper.hold(claim, Phase.GENERATING)
        self.run.drew(self.gpu.generate(claim.spec).seconds)
        self.drawn.append(claim.spec.checkpoint)

    def close(self) -> None:
        self.claims.close()
        self.keeper.close()


@pytest.fixture(autouse=True)
def folders_are_what_was_ordered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factory.workers.pipeline_cache.manifest_sha256", lambda folder: checkpoint(folder.name).sha256)


@pytest.fixture
def worker(db: Database, sql: psycopg.Connection, tmp_path: Path) -> Iterator[Worker]:
    """With three places on its card, `default` loaded, and the time that a load takes known."""
    register(sql, "default", "other", "third", "fourth")
    worker = Worker(db, tmp_path, room=3)
    yield worker
    worker.close()


@pytest.fixture
def wanted(db: Database, caller: Caller, clock: Clock) -> Callable[..., None]:
    """People's orders of these checkpoints, so old that each may cost a load."""

    def order(*models: str) -> None:
        for model in models:
            submit(db, caller, model=model)
        clock.advance(2)

    return order


@pytest.fixture
def warm(worker: Worker, db: Database, caller: Caller, wanted: Callable[..., None]) -> Worker:
    """It has drawn a while, so that it knows what a picture and a load take; work enough waits for it."""
    submit_rows(db, caller, [{}] * 160)
    assert worker.draw(40, lambda: wanted("other")).count("other") == 1
    assert worker.run.picture_seconds < LOAD / 4
    return worker


def test_pictures_are_drawn_while_a_checkpoint_comes_and_none_that_would_delay_it(warm: Worker, wanted: Callable[..., None]) -> None:
    before = warm.draw(45, lambda: wanted("third")).index("third")
    assert before > 3, "the GPU waited for the disk"
    assert before * PICTURE < 2 * LOAD, "who waited for the load waited for others, too"


def test_of_a_load_whose_time_nobody_knows_the_end_is_waited_for(
    worker: Worker, db: Database, caller: Caller, wanted: Callable[..., None]
) -> None:
    submit_rows(db, caller, [{}] * 10)
    assert worker.draw(3, lambda: wanted("other")) == ["default", "default", "other"], "behind its own first load it sends for none"


def test_while_one_checkpoint_comes_no_other_is_sent_for(warm: Worker, wanted: Callable[..., None]) -> None:
    drawn = warm.draw(70, lambda: wanted("third", "fourth"))
    assert drawn.index("fourth") - drawn.index("third") > 3, "the second load began when the first was over"


def test_a_checkpoint_that_cannot_be_read_is_left_to_the_drawing(
    warm: Worker, wanted: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> str:
        if folder.name == "third":
            raise PermissionError(13, "Permission denied")
        return checkpoint(folder.name).sha256

    monkeypatch.setattr("factory.workers.pipeline_cache.manifest_sha256", refuse)
    with pytest.raises(PermissionError):
        warm.draw(10, lambda: wanted("third"))
    assert not warm.run.loading
    warm.claims.left()
    assert set(warm.draw(5)) == {"default"}


def test_a_card_with_room_for_one_loads_when_it_draws(
    db: Database, caller: Caller, wanted: Callable[..., None], sql: psycopg.Connection, tmp_path: Path
) -> None:
    register(sql, "default", "other", "third", "fourth")
    worker = Worker(db, tmp_path, room=1)
    try:
        submit_rows(db, caller, [{}] * 10)
        assert worker.draw(3, lambda: wanted("other")) == ["default", "default", "other"]
        assert not worker.run.loading
    finally:
        worker.close()


def test_at_the_end_of_a_shift_everything_is_there_to_be_given_back(
    warm: Worker, wanted: Callable[..., None], sql: psycopg.Connection
) -> None:
    def running() -> set[uuid.UUID]:
        return {row[0] for row in sql.execute("SELECT id FROM jobs WHERE status = 'running'").fetchall()}

    before = running()
    warm.draw(2, lambda: wanted("third"))
    left = {claim.job_id for claim in warm.left}
    assert "third" in {claim.spec.checkpoint for claim in warm.left}
    assert left <= running() - before
    assert len(running() - before) == 2 + len(left), "two were drawn, the others are here"
    assert not warm.run.loading
