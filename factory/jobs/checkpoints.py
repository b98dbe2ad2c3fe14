"""checkpoints: which weights may be ordered."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from factory.db import Database
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.checkpoint import Checkpoint
from factory.jobs.log_event import log_event

HOUSE = "factory"


def register_checkpoint(db: Database, *, name: str, engine: str, sha256: str, size: int, native_side: int, actor: Actor) -> None:
    """Make a checkpoint orderable, or point its name at new files: jobs ordered before keep the hash they were ordered with."""
    values = {"engine": engine, "sha256": sha256, "bytes": size, "native_side": native_side, "registered_at": db.now()}
    with db.transaction() as session:
        statement = insert(Checkpoint).values(name=name, **values)
        session.execute(statement.on_conflict_do_update(index_elements=[Checkpoint.name], set_=values))
        detail = {"checkpoint": name, "engine": engine, "sha256": sha256}
        log_event(session, now=db.now(), tenant=HOUSE, actor=actor, action=AuditAction.CHECKPOINT_REGISTERED, detail=detail)


def list_checkpoints(db: Database) -> dict[str, Checkpoint]:
    """Every orderable checkpoint by name."""
    with db.transaction() as session:
        return {row.name: row for row in session.scalars(select(Checkpoint).order_by(Checkpoint.name))}
