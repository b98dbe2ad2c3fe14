"""close_job: running → succeeded, with the asset and the generation record, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, func, null, select

from factory.db import Database
from factory.domain.api_key import ApiKey
from factory.domain.asset import Asset
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.claim import Claim
from factory.domain.generation import Generation
from factory.domain.status import JobStatus
from factory.errors import LeaseLost
from factory.jobs.change_status import JOBS, change_status, pick
from factory.jobs.held import held


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
    now = db.now()
    with db.transaction() as session:
        rows = change_status(
            session,
            pick(*held(claim)),
            JobStatus.SUCCEEDED,
            now=now,
            action=AuditAction.JOB_SUCCEEDED,
            actor=Actor("worker", claim.worker),
            # The fault of an earlier attempt stays in the log; the finished job has none.
            values={"error": null()},
            detail={"sha256": finished.sha256, "evaluations": finished.evaluations},
            returning=(JOBS.c.key_id, JOBS.c.network, JOBS.c.end_user, JOBS.c.requested),
        )
        if not rows:
            raise LeaseLost(job_id=str(claim.job_id), attempt=claim.attempt)
        session.add(_asset(claim, finished, now))
        session.add(_generation(rows[0], claim, finished, now))


def _asset(claim: Claim, finished: Finished, now: ColumnElement[Any]) -> Asset:
    return Asset(
        tenant=claim.tenant,
        batch_id=claim.batch_id,
        job_id=claim.job_id,
        attempt=claim.attempt,
        key=finished.key,
        filename=finished.filename,
        media_type=finished.media_type,
        bytes=finished.size,
        sha256=finished.sha256,
        width=finished.width,
        height=finished.height,
        created_at=now,
    )


def _generation(job: Row[Any], claim: Claim, finished: Finished, now: ColumnElement[Any]) -> Generation:
    spec = claim.spec
    return Generation(
        at=now,
        tenant=claim.tenant,
        key_id=job.key_id,
        caller=func.coalesce(select(ApiKey.prefix).where(ApiKey.id == job.key_id).scalar_subquery(), "operator"),
        network=job.network,
        end_user=job.end_user,
        batch_id=claim.batch_id,
        job_id=claim.job_id,
        attempt=claim.attempt,
        sku=claim.sku,
        prompt=spec.prompt,
        negative_prompt=job.requested.get("negative_prompt"),
        requested=job.requested,
        effective=spec.as_json(),
        checkpoint=spec.checkpoint,
        checkpoint_sha256=spec.checkpoint_sha256,
        seed=str(spec.seed),
        evaluations=finished.evaluations,
        worker=claim.worker,
        facts=finished.facts,
        seconds=finished.seconds,
        policy_version=finished.policy_version,
        decision=finished.decision,
        label_profile=spec.label_profile,
        asset_key=finished.key,
        asset_sha256=finished.sha256,
        asset_bytes=finished.size,
    )
