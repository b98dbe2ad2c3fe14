"""A cancel as a test wants it: one call, committed."""

from __future__ import annotations

import uuid

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.jobs import cancel


def cancel_job(db: Database, *, tenant: str, job_id: uuid.UUID, actor: Actor) -> cancel.CancelReceipt:
    with db.transaction() as session:
        return cancel.cancel_job(session, db.now(), tenant=tenant, job_id=job_id, actor=actor)


def cancel_batch(db: Database, *, tenant: str, batch_id: uuid.UUID, actor: Actor) -> cancel.CancelReceipt:
    with db.transaction() as session:
        return cancel.cancel_batch(session, db.now(), tenant=tenant, batch_id=batch_id, actor=actor)
