"""/metrics: counted at scrape, without a tenant or an id in any label."""

from __future__ import annotations

import math

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from factory import metrics
from factory.api.deps import Db
from factory.domain.status import JobStatus
from factory.errors import DatabaseDown
from factory.jobs.count_waiting import Waiting, count_waiting

router = APIRouter(tags=["metrics"])


@router.get("/metrics")
def get_metrics(db: Db) -> Response:
    """Without a database the queue's numbers are NaN, the others stay true."""
    try:
        waiting = count_waiting(db)
    except DatabaseDown:
        waiting = Waiting(math.nan, math.nan, math.nan)  # type: ignore[arg-type]
    metrics.jobs.labels(JobStatus.QUEUED.value).set(waiting.queued)
    metrics.jobs.labels(JobStatus.RUNNING.value).set(waiting.running)
    metrics.oldest_queued_seconds.set(waiting.oldest_seconds)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
