"""Every table, imported once, so that migrations and tests see them all."""

from __future__ import annotations

from factory.domain.api_key import ApiKey
from factory.domain.asset import Asset
from factory.domain.audit_event import AuditEvent
from factory.domain.batch import Batch
from factory.domain.checkpoint import Checkpoint
from factory.domain.generation import Generation
from factory.domain.idempotency_key import IdempotencyKey
from factory.domain.job import Job
from factory.domain.row import Row
from factory.domain.tenant import NameCounter, Tenant

ALL = (Tenant, NameCounter, ApiKey, Checkpoint, Batch, Job, Asset, Generation, AuditEvent, IdempotencyKey)
METADATA = Row.metadata
