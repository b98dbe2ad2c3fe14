"""close_job: running → succeeded, with the asset and the generation record, in one statement."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import CTE, ColumnElement, FromClause, bindparam, func, insert, null, select

from factory.db import Compiled, Database, compiled_now
from factory.domain.api_key import ApiKey
from factory.domain.asset import Asset
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.claim import Claim
from factory.domain.generation import Generation
from factory.domain.row import new_id
from factory.domain.status import JobStatus
from factory.errors import LeaseLost
from factory.jobs.change_status import JOBS, pick, status_statement
from factory.jobs.held import fence

ASSETS, GENERATIONS = Asset.__table__, Generation.__table__
# What the statement is told of the file and of its making; the rest it takes from the job's row.
OF_FILE = ("key", "filename", "media_type", "bytes", "sha256", "width", "height")
OF_MAKING = ("prompt", "effective", "checkpoint", "checkpoint_sha256", "seed", "evaluations", "facts", "seconds")
OF_RULES = ("policy_version", "decision", "label_profile")


@dataclass(frozen=True)
class Finished:
    """A stored file and what is known of its making. `seconds` maps a stage to wall seconds."""

    key: str
    filename: str
    media_type: str
    size: int
    sha256: str
    width: int
    height: int
    evaluations: int
    facts: dict[str, Any]
    seconds: dict[str, float]
    policy_version: str
    decision: str = "allow"


def close_job(db: Database, claim: Claim, finished: Finished) -> None:
    """Make the stored file count. Raises LeaseLost when this attempt no longer holds the job: nothing is written then."""
    if not db.run_alone(_closing(own_clock=db.clock is not None), _binds(claim, finished)):
        raise LeaseLost(job_id=str(claim.job_id), attempt=claim.attempt)


@lru_cache(maxsize=2)
def _closing(*, own_clock: bool) -> Compiled:
    """Built once: for each picture anew that took most of the time."""
    now = compiled_now(own_clock=own_clock)
    closed = status_statement(
        pick(*fence(bindparam("job_id"), bindparam("attempt"), bindparam("actor_name"))),
        JobStatus.SUCCEEDED,
        now=now,
        action=AuditAction.JOB_SUCCEEDED,
        actor=Actor("worker", ""),
        # The fault of an earlier attempt stays in the log; the finished job has none.
        values={"error": null()},
        detail={"sha256": _told(ASSETS, "sha256"), "evaluations": _told(GENERATIONS, "evaluations")},
        returning=(JOBS.c.key_id, JOBS.c.network, JOBS.c.end_user, JOBS.c.requested),
    )
    (moved,) = closed.get_final_froms()
    return Compiled.of(closed.with_only_columns(moved.c.id).add_cte(_asset(moved, now), _generation(moved, now)))


def _asset(moved: FromClause, now: ColumnElement[Any]) -> CTE:
    columns = {
        "id": _told(ASSETS, "id", "asset_id"),
        "job_id": moved.c.id,
        **{name: moved.c[name] for name in ("tenant", "batch_id", "attempt")},
        **{name: _told(ASSETS, name) for name in OF_FILE},
        "created_at": now,
    }
    return insert(Asset).from_select(list(columns), select(*columns.values())).cte("delivered")


def _generation(moved: FromClause, now: ColumnElement[Any]) -> CTE:
    prefix = select(ApiKey.prefix).where(ApiKey.id == moved.c.key_id).scalar_subquery()
    columns = {
        "id": _told(GENERATIONS, "id", "generation_id"),
        "at": now,
        "job_id": moved.c.id,
        **{name: moved.c[name] for name in ("tenant", "key_id", "network", "end_user", "batch_id", "attempt", "sku", "requested")},
        "caller": func.coalesce(prefix, "operator"),
        "negative_prompt": moved.c.requested["negative_prompt"].astext,
        "worker": _told(GENERATIONS, "worker", "actor_name"),
        **{name: _told(GENERATIONS, name) for name in (*OF_MAKING, *OF_RULES)},
        **{f"asset_{name}": _told(ASSETS, name) for name in ("key", "sha256", "bytes")},
    }
    return insert(Generation).from_select(list(columns), select(*columns.values())).cte("recorded")


def _told(table: FromClause, column: str, name: str | None = None) -> ColumnElement[Any]:
    return bindparam(name or column, type_=table.c[column].type)


def _binds(claim: Claim, finished: Finished) -> dict[str, Any]:
    spec = claim.spec
    return {
        "job_id": claim.job_id,
        "attempt": claim.attempt,
        "actor_name": claim.worker,
        "asset_id": new_id(),
        "generation_id": new_id(),
        "key": finished.key,
        "filename": finished.filename,
        "media_type": finished.media_type,
        "bytes": finished.size,
        "sha256": finished.sha256,
        "width": finished.width,
        "height": finished.height,
        "prompt": spec.prompt,
        "effective": json.dumps(spec.as_json()),
        "checkpoint": spec.checkpoint,
        "checkpoint_sha256": spec.checkpoint_sha256,
        "seed": str(spec.seed),
        "evaluations": finished.evaluations,
        "facts": json.dumps(finished.facts),
        "seconds": json.dumps(finished.seconds),
        "policy_version": finished.policy_version,
        "decision": finished.decision,
        "label_profile": spec.label_profile,
    }
