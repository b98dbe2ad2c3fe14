"""ClaimsAhead: what a GPU worker draws next is claimed while it draws, and loaded while it draws something else."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from factory import metrics
from factory.db import Database
from factory.domain.claim import Claim
from factory.domain.status import Phase
from factory.errors import DatabaseDown
from factory.jobs.claim_drawable import claim_drawable
from factory.jobs.lease_keeper import LeaseKeeper
from factory.jobs.worker_run import WorkerRun
from factory.logs import get_logger
from factory.workers.gpu import Gpu

log = get_logger(__name__)
DATABASE_RETRY_SECONDS = 1.0


@dataclass(frozen=True)
class _Awaited:
    """A claim whose checkpoint is on its way since `began` (monotonic)."""

    claim: Claim
    load: Future[None]
    began: float


class ClaimsAhead:
    """Of one worker. At most one claim is looked for at a time, and at most one checkpoint is on its way.

    While it is, pictures are drawn whose checkpoints are here, as long as they are likely to be done before it comes: the GPU need not wait
    for a disk, and who waits for the load waits no longer for them.
    """

    def __init__(self, gpu: Gpu, db: Database, keeper: LeaseKeeper, run: WorkerRun, *, name: str, lease: timedelta) -> None:
        self._gpu, self._db, self._keeper, self._run, self._name, self._lease = gpu, db, keeper, run, name, lease
        self._claiming, self._loading = ThreadPoolExecutor(1, "claim-ahead"), ThreadPoolExecutor(1, "load-ahead")
        self._sought: Future[Claim | None] | None = None
        self._spare: Claim | None = None
        self._awaited: _Awaited | None = None
        self._load_seconds = 0.0  # the last load; before the first one nothing is drawn meanwhile
        self._drawing = ""

    def claim(self) -> Claim | None:
        """The best job for now, to be drawn at once."""
        return self._claim()

    def look(self, drawing: Claim) -> None:
        """Look for the job after `drawing`, in a thread."""
        self._drawing = drawing.spec.checkpoint
        if self._spare is None:
            self._sought = self._claiming.submit(self._claim_ahead, self._drawing)

    def take(self, *, may_claim: bool) -> Claim | None:
        """What is drawn next, or None when nothing was claimed. It may wait for a load."""
        found = self._found()
        awaited = self._awaited
        if awaited is None:
            return found
        if self._is_due(awaited) or (found and found.spec.checkpoint not in self._gpu.resident()):  # it gave way to the one that comes
            self._spare = found
            return self._turn_to(awaited)
        if found is None and may_claim:
            found = self._claim_ahead(self._drawing)
        return found or self._turn_to(awaited)

    def left(self) -> list[Claim]:
        """What was claimed and is not drawn, at the end of a shift. It waits for a load."""
        try:
            found = self._found()
        except Exception:
            log.exception("a claim ahead failed")
            found = None
        awaited = self._turn_to(self._awaited) if self._awaited else None
        return [claim for claim in (found, awaited) if claim is not None]

    def close(self) -> None:
        self._claiming.shutdown(wait=False)
        self._loading.shutdown(wait=False)

    def _found(self) -> Claim | None:
        sought, self._sought = self._sought, None
        spare, self._spare = self._spare, None
        return spare or (sought.result() if sought else None)

    def _is_due(self, awaited: _Awaited) -> bool:
        """Its checkpoint is here, or would be before another picture were drawn."""
        waited = time.monotonic() - awaited.began
        return awaited.load.done() or waited + self._run.picture_seconds > self._load_seconds

    def _turn_to(self, awaited: _Awaited) -> Claim:
        wait([awaited.load])
        self._awaited = None
        self._run.turned_to(awaited.claim)
        return awaited.claim

    def _claim_ahead(self, drawing: str) -> Claim | None:
        """None, too, when the checkpoint of what was claimed has to come first."""
        claim = self._claim(drawing)
        if claim is None or self._awaited or claim.spec.checkpoint in (drawing, *self._gpu.resident()):
            return claim
        self._keeper.hold(claim, Phase.LOADING)
        self._awaited = _Awaited(claim, self._loading.submit(self._load, claim), time.monotonic())
        return None

    def _load(self, claim: Claim) -> None:
        """Whatever is wrong with the checkpoint, the drawing will say."""
        started = time.monotonic()
        try:
            self._gpu.prefetch(claim.spec)
        except Exception:
            log.exception("a load ahead failed", checkpoint=claim.spec.checkpoint)
        if claim.spec.checkpoint in self._gpu.resident():
            self._load_seconds = time.monotonic() - started
        self._keeper.hold(claim, Phase.CLAIMED)

    def _claim(self, *drawing: str) -> Claim | None:
        """With `drawing`, the checkpoint of the picture that is drawn first: by then it is the one in use."""
        started = time.perf_counter()
        try:
            claim = claim_drawable(self._db, self._gpu, self._run, worker=self._name, lease=self._lease, drawing=drawing)
        except DatabaseDown:
            metrics.claims_total.labels("database_down").inc()
            time.sleep(DATABASE_RETRY_SECONDS)
            return None
        metrics.claim_seconds.observe(time.perf_counter() - started)
        metrics.claims_total.labels("empty" if claim is None else "claimed").inc()
        if claim is not None:
            metrics.job_wait_seconds.observe(max(0.0, (datetime.now(UTC) - claim.created_at).total_seconds()))
            self._keeper.hold(claim, Phase.CLAIMED if drawing else Phase.GENERATING)
        return claim
