"""Rows as clients read them: plain JSON values, the same names everywhere."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from factory.api.cursors import write_cursor
from factory.api.links import Links
from factory.domain.asset import Asset
from factory.domain.audit_event import AuditEvent
from factory.domain.batch import Batch
from factory.domain.checkpoint import Checkpoint
from factory.domain.generation import Generation
from factory.domain.labels import CustomerLabels
from factory.domain.status import JobStatus
from factory.jobs.find_batches import FoundBatch
from factory.jobs.find_jobs import FoundJob

JOB_MOMENTS = ("created_at", "not_before", "deadline", "started_at", "finished_at", "expires_at", "dead_lettered_at")
EVENT_COLUMNS = [column.key for column in AuditEvent.__table__.columns if column.key != "tx"]  # that one orders webhooks, and tells nobody
GENERATION_COLUMNS = [column.key for column in Generation.__table__.columns]


def job(found: FoundJob, links: Links) -> dict[str, Any]:
    row, asset = found.job, found.asset if found.asset and found.asset.deleted_at is None else None
    return {
        "object": "job",
        "id": str(row.id),
        "external_id": row.external_id,
        "status": row.status,
        "phase": row.phase,
        "batch_id": plain(row.batch_id),
        "row": row.row_no or None,
        "sku": row.sku,
        "project": row.project,
        "model": row.checkpoint,
        "priority": row.priority,
        "hold": row.hold,
        "template": row.template,
        "cell": row.cell,
        "reused": row.twin_id is not None and row.status == JobStatus.SUCCEEDED.value,
        "twin_id": plain(row.twin_id),
        "retry_of": plain(row.retry_of),
        "superseded": row.superseded,
        "attempt": row.attempt,
        **_labels(row),
        **{name: plain(getattr(row, name)) for name in JOB_MOMENTS},
        "requested": row.requested,
        "effective": {name: value for name, value in row.spec.items() if value is not None},
        "warnings": row.warnings,
        "error": row.error,
        "asset": asset_of(asset, links) if asset else None,
        "links": links.job(row.id, row.batch_id, asset),
    }


def asset_of(row: Asset, links: Links, *, seconds: int | None = None) -> dict[str, Any]:
    """`url` works for anybody until it ends; `permanent_url` asks for a key and lasts as long as the picture is kept."""
    return {
        "object": "asset",
        "id": str(row.id),
        "job_id": str(row.job_id),
        "batch_id": plain(row.batch_id),
        "filename": row.filename,
        "media_type": row.media_type,
        "bytes": row.bytes,
        "sha256": row.sha256,
        "width": row.width,
        "height": row.height,
        "created_at": plain(row.created_at),
        "url": links.signed(row, seconds),
        "url_seconds": seconds or links.seconds,
        "permanent_url": links.permanent(row),
        "links": {"self": links.to("assets", row.id), "job": links.to("jobs", row.job_id), "permanent": links.permanent(row)},
    }


def batch(found: FoundBatch, links: Links, *, with_errors: bool = True) -> dict[str, Any]:
    row: Batch = found.batch
    counts = {status.value: found.counts.get(status.value, 0) for status in JobStatus}
    done = sum(counts.values()) - counts[JobStatus.QUEUED.value] - counts[JobStatus.RUNNING.value]
    return {
        "object": "batch",
        "id": str(row.id),
        "external_id": row.external_id,
        "status": found.status,
        "project": row.project,
        "catalogue": row.catalogue,
        "template": row.template,
        "priority": row.priority,
        "retention": row.retention,
        "counts": counts,
        "total": row.rows_accepted,
        "done": done,
        "rows_accepted": row.rows_accepted,
        "rows_refused": row.rows_refused,
        "reused": found.reuse.reused,
        "gpu_seconds_saved": round(found.reuse.gpu_seconds, 3),
        "rate_per_min": found.pace.per_minute,
        "finish": {"p50": plain(found.pace.finish.p50), "p90": plain(found.pace.finish.p90)} if found.pace.finish else None,
        **{name: plain(getattr(row, name)) for name in ("deadline", "paused_at", "ended_at")},
        "deadline_kept": found.pace.finish.p90 <= row.deadline if found.pace.finish and row.deadline else None,
        **({"row_errors": row.row_errors} if with_errors else {}),
        **_labels(row),
        "created_at": plain(row.created_at),
        "next_row": row.next_row,
        "problem": row.problem,
        "warnings": row.warnings,
        "links": links.batch(row.id),
    }


def _labels(row: CustomerLabels) -> dict[str, Any]:
    return {
        "user": row.end_user,
        "campaign": row.campaign,
        "cost_centre": row.cost_centre,
        "tags": row.tags,
        "metadata": row.customer_metadata,
    }


def event(row: AuditEvent) -> dict[str, Any]:
    return {"object": "event", **{name: plain(getattr(row, name)) for name in EVENT_COLUMNS}}


def generation(row: Generation) -> dict[str, Any]:
    return {"object": "record", **{name: plain(getattr(row, name)) for name in GENERATION_COLUMNS}}


def checkpoint(row: Checkpoint) -> dict[str, Any]:
    return {"object": "checkpoint", **{column.key: plain(getattr(row, column.key)) for column in Checkpoint.__table__.columns}}


def page(data: list[dict[str, Any]], last: uuid.UUID | int | None, *, limit: int) -> dict[str, Any]:
    """A page is the last one when it is not full. `last` is the id of its last row."""
    more = last is not None and len(data) >= limit
    return {"object": "list", "data": data, "next_cursor": write_cursor(last) if more and last is not None else None}


def plain(value: Any) -> Any:
    """A value that JSON knows."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, uuid.UUID) else value
