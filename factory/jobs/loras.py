"""loras: which small weights may be ordered on top of a checkpoint."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from factory.db import Database
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.lora import Lora
from factory.jobs.checkpoints import HOUSE
from factory.jobs.log_event import log_event


def register_lora(db: Database, *, name: str, sha256: str, size: int, actor: Actor) -> None:
    """Make a LoRA orderable, or point its name at another file: jobs ordered before keep the hash they were ordered with."""
    values = {"sha256": sha256, "bytes": size, "registered_at": db.now()}
    with db.transaction() as session:
        statement = insert(Lora).values(name=name, **values)
        session.execute(statement.on_conflict_do_update(index_elements=[Lora.name], set_=values))
        detail = {"lora": name, "sha256": sha256}
        log_event(session, now=db.now(), tenant=HOUSE, actor=actor, action=AuditAction.LORA_REGISTERED, detail=detail)


def list_loras(db: Database) -> dict[str, Lora]:
    """Every orderable LoRA by name."""
    with db.transaction() as session:
        return {row.name: row for row in session.scalars(select(Lora).order_by(Lora.name))}
