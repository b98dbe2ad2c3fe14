"""claim_drawable: the best next job whose checkpoint this worker has. Those of others are left to workers that have theirs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from factory.db import Database
from factory.domain.claim import Claim
from factory.jobs.claim_job import claim_job
from factory.jobs.end_attempt import release_job
from factory.jobs.worker_run import WorkerRun
from factory.logs import get_logger
from factory.workers.gpu import Gpu

log = get_logger(__name__)


def claim_drawable(db: Database, gpu: Gpu, run: WorkerRun, *, worker: str, lease: timedelta, drawing: Sequence[str] = ()) -> Claim | None:
    """As claim_job, for what `gpu` holds; `drawing` names the checkpoint of the picture that is drawn first. None, too, when only jobs wait whose checkpoints it lacks.

    The first job of a checkpoint that is not here goes back as it was and counts as no failure. From then on that checkpoint is not
    asked for, until its folder is seen: each claim looks again. So nothing is taken and given back over and over.
    """
    run.lacks = {name for name in run.lacks if gpu.lacks(name)}
    while True:
        resident = [name for name in dict.fromkeys([*drawing, *gpu.resident()]) if name not in run.lacks]
        claim = claim_job(db, worker=worker, lease=lease, resident=resident, ahead=bool(drawing), run=run.next())
        if claim is None or not gpu.lacks(claim.spec.checkpoint):
            break
        run.lacks.add(claim.spec.checkpoint)
        log.warning("checkpoint not on this worker: copy its folder here, or leave it to others", checkpoint=claim.spec.checkpoint)
        release_job(db, claim)
    if claim is not None:
        run.claimed(claim, resident, ahead=bool(drawing))
    return claim
