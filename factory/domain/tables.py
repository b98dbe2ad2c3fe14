"""Every table, imported once, so that migrations and tests see them all."""

from __future__ import annotations

from factory.domain.api_key import ApiKey
from factory.domain.asset import Asset
from factory.domain.audit_event import AuditEvent
from factory.domain.batch import Batch
from factory.domain.checkpoint import Checkpoint
from factory.domain.column_mapping import ColumnMapping
from factory.domain.generation import Generation
from factory.domain.idempotency_key import IdempotencyKey
from factory.domain.job import Job
from factory.domain.lane_state import LaneState
from factory.domain.lora import Lora
from factory.domain.queue_mark import QueueMark
from factory.domain.row import Row
from factory.domain.share import Allowance, Share
from factory.domain.speed import Speed
from factory.domain.template import Template
from factory.domain.tenant import NameCounter, Tenant
from factory.domain.webhook import WebhookCursor, WebhookDelivery, WebhookEndpoint
from factory.domain.worker_presence import WorkerPresence

ORDERS = (Tenant, NameCounter, ApiKey, Batch, Job, Asset, Generation, AuditEvent, IdempotencyKey)
WEIGHTS = (Checkpoint, Lora, Template, ColumnMapping)
QUEUE = (LaneState, QueueMark, Share, Allowance, Speed, WorkerPresence)
WEBHOOKS = (WebhookEndpoint, WebhookDelivery, WebhookCursor)
ALL = ORDERS + WEIGHTS + QUEUE + WEBHOOKS
METADATA = Row.metadata
