"""Claim: what a worker takes from the jobs table: a job, under a lease, with an attempt number."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime

from factory.domain.generation_spec import GenerationSpec


@dataclass(frozen=True)
class Claim:
    """`attempt` must accompany every later write about this job."""

    job_id: uuid.UUID
    attempt: int
    worker: str
    tenant: str
    batch_id: uuid.UUID | None
    sku: str | None
    project: str
    day: date
    seq: int
    spec: GenerationSpec
    created_at: datetime
    lane: str = "bulk"
