"""Dead letters: jobs that failed too often, and another chance for them."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from factory.api import represent
from factory.api.answers import Json
from factory.api.cursors import read_uuid
from factory.api.deps import Db, Operator, Ring, To
from factory.api.queries import JobQuery
from factory.jobs.find_jobs import list_jobs
from factory.jobs.replay_dead_letters import replay_dead_letters

router = APIRouter(prefix="/api/v1/dead-letters", tags=["dead letters"])


@router.get("")
def get_dead_letters(wanted: Annotated[JobQuery, Query()], caller: Operator, db: Db, links: To) -> Response:
    """Of the caller's tenant, with the filters of jobs."""
    filtered = wanted.as_filter(dead_letter=True)
    found = list_jobs(db, tenant=caller.tenant, wanted=filtered, before=read_uuid(wanted.cursor), limit=wanted.limit)
    return Json(represent.page([represent.job(one, links) for one in found], found[-1].job.id if found else None, limit=wanted.limit))


@router.post("/replay")
def post_replay(
    caller: Operator, db: Db, ring: Ring, job: Annotated[uuid.UUID | None, Query(description="only this one")] = None
) -> Response:
    """They wait again with fresh counters; their attempt number goes on rising."""
    replayed = replay_dead_letters(db, actor=caller.actor, tenant=caller.tenant, job_id=job)
    if replayed:
        ring(replayed)
    return Json({"object": "replay", "replayed": replayed})
