"""Queue: why a job waits; and for operators of the factory, lanes to close and open, and what each tenant may have."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from factory.api.answers import Json
from factory.api.deps import Config, Db, Operator, Reader, Ring
from factory.api.represent import plain
from factory.db import Database
from factory.domain.caller import Caller
from factory.domain.share import Allowance
from factory.domain.status import Lane
from factory.errors import Forbidden
from factory.jobs.allowances import HEAVIEST, LIGHTEST, MOST, Grant, allowance_of, list_allowances, set_allowance
from factory.jobs.checkpoints import HOUSE
from factory.jobs.explain import Explanation, explain
from factory.jobs.lanes import LaneView, pause_lane, resume_lane
from factory.jobs.opening_hours import closed_now, opening_hours
from factory.jobs.queue_state import queue_state
from factory.settings import Settings

router = APIRouter(prefix="/api/v1", tags=["queue"])
Name = Annotated[str, Path(max_length=128, description="our id, or the client's own")]
Member = Annotated[str, Path(max_length=200, description="the `user` of orders")]
RUNG = 64  # shifts end by themselves where there is less to do


async def _house(caller: Operator) -> Caller:
    """What touches every tenant is for keys of the house. Raises Forbidden."""
    if caller.tenant != HOUSE:
        raise Forbidden(f"this concerns all tenants: it takes a key made with `factory keys create --tenant {HOUSE} --scope ops`")
    return caller


House = Annotated[Caller, Depends(_house)]


class GrantBody(BaseModel):
    """All of it: what is left out is as for everybody."""

    model_config = ConfigDict(extra="forbid")

    weight: float = Field(1.0, ge=LIGHTEST, le=HEAVIEST, allow_inf_nan=False, description="share of the GPUs beside others'")
    max_running: int | None = Field(None, ge=0, le=MOST, description="pictures waiting or in work at once; more are held")
    max_queued: int | None = Field(None, ge=0, le=MOST, description="rows in the queue, held ones too; more are answered with 429")

    def as_grant(self) -> Grant:
        return Grant(**self.model_dump())


@router.get("/jobs/{name}/explain")
def get_explanation(name: Name, caller: Reader, db: Db, settings: Config) -> Response:
    """Why it waits, how many go before it, when it may begin, and what would change that."""
    silence = timedelta(seconds=settings.lease_seconds)
    hours = opening_hours(settings.offpeak_windows, settings.timezone)
    return Json(explanation(explain(db, tenant=caller.tenant, name=name, silence=silence, opens_at=hours)))


@router.get("/queue")
def get_queue(caller: House, db: Db, settings: Config) -> Response:  # noqa: ARG001 - asking for the caller is what guards the route
    """Lanes, what is in work, and the workers that are alive."""
    state = queue_state(db, silence=timedelta(seconds=settings.lease_seconds))
    workers = [
        {name: plain(getattr(one, name)) for name in ("name", "resident", "since_swap", "started_at", "seen_at")} for one in state.workers
    ]
    lanes = [_lane(view) for view in state.lanes]
    return Json({"object": "queue", "paused": state.paused, "running": state.running, "lanes": lanes, "workers": workers})


@router.post("/queue/{lane}/pause")
def post_pause(lane: Lane, caller: House, db: Db) -> Response:
    """What is in work is finished; nothing more of this lane is begun. Harmless when it is paused already."""
    return Json({"object": "lane", "lane": lane.value, "paused": True, "changed": pause_lane(db, lane=lane, actor=caller.actor)})


@router.post("/queue/{lane}/resume")
def post_resume(lane: Lane, caller: House, db: Db, ring: Ring) -> Response:
    """Harmless when it is open already."""
    changed = resume_lane(db, lane=lane, actor=caller.actor)
    if changed:
        ring(RUNG)
    return Json({"object": "lane", "lane": lane.value, "paused": False, "changed": changed})


@router.get("/allowances/{tenant}")
def get_allowance(tenant: Name, caller: House, db: Db) -> Response:  # noqa: ARG001 - as above
    """The tenant's own, and those of its users that have one."""
    own = _allowance(allowance_of(db, tenant=tenant))
    return Json({**own, "users": [_allowance(row) for row in list_allowances(db, tenant=tenant) if row.member]})


@router.put("/allowances/{tenant}")
def put_allowance(tenant: Name, body: GrantBody, caller: House, db: Db, settings: Config) -> Response:
    """Works at once on what waits: what a cap has no more room for is held, what it has room for is let go."""
    return _set(db, settings, caller, tenant, "", body)


@router.get("/allowances/{tenant}/{member:path}")
def get_users_allowance(tenant: Name, member: Member, caller: House, db: Db) -> Response:  # noqa: ARG001 - as above
    """What this user of the tenant may have."""
    return Json(_allowance(allowance_of(db, tenant=tenant, member=member)))


@router.put("/allowances/{tenant}/{member:path}")
def put_users_allowance(tenant: Name, member: Member, body: GrantBody, caller: House, db: Db, settings: Config) -> Response:
    """Beside the tenant's own: both caps hold."""
    return _set(db, settings, caller, tenant, member, body)


def _set(db: Database, settings: Settings, caller: Caller, tenant: str, member: str, body: GrantBody) -> Response:
    closed = closed_now(settings.offpeak_windows, settings.timezone)
    return Json(_allowance(set_allowance(db, tenant=tenant, member=member, grant=body.as_grant(), actor=caller.actor, closed=closed)))


def explanation(found: Explanation) -> dict[str, Any]:
    """As clients read it."""
    job, seconds = found.job, found.seconds
    return {
        "object": "explanation",
        "job_id": str(job.id),
        "status": job.status,
        "hold": job.hold,
        "lane": job.lane,
        "priority": job.priority,
        "position": found.position,
        "position_at_least": found.more,
        "begins_in_seconds": {"from": seconds[0], "to": seconds[1]} if seconds else None,
        "reasons": [asdict(reason) for reason in found.reasons],
    }


def _lane(view: LaneView) -> dict[str, Any]:
    return {name: plain(value) for name, value in asdict(view).items()} | {"lane": view.lane.value, "paused": view.paused_at is not None}


def _allowance(row: Allowance) -> dict[str, Any]:
    limits = {"weight": row.weight, "max_running": row.max_running, "max_queued": row.max_queued}
    return {"object": "allowance", "tenant": row.tenant, "user": row.member or None, **limits}
