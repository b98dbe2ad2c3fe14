"""answer_once: the same order sent again, or ten times at once, is carried out once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.idempotency_key import IdempotencyKey
from factory.errors import Conflict, Invalid

KEPT_FOR = timedelta(hours=24)


@dataclass(frozen=True)
class Answer:
    """What the client was told. `replayed`: this call did nothing, the answer is the stored one."""

    status_code: int
    body: dict[str, Any]
    replayed: bool = field(default=False, compare=False)
    headers: Mapping[str, str] = field(default_factory=dict, compare=False)  # of this moment: not stored


Act = Callable[[Session, ColumnElement[Any]], Answer]


def answer_once(db: Database, *, tenant: str, key: str | None, request_sha256: str, act: Act) -> Answer:
    """Run `act` in a transaction that also stores its answer under `key`.

    Raises Conflict while the first request with this key is still at work, Invalid when the key came with another body.
    The lock belongs to the transaction: when this process dies the key is free again and nothing half-done is left.
    """
    now = db.now()
    with db.transaction() as session:
        if key is None:
            return act(session, now)
        if not session.scalar(select(func.pg_try_advisory_xact_lock(func.hashtextextended(f"{tenant}\x1f{key}", 0)))):
            raise Conflict("a request with this key is still at work; ask again in a second", code="request_in_flight")
        stored = session.get(IdempotencyKey, (tenant, key))
        if stored is not None:
            return _replay(stored, request_sha256)
        answer = act(session, now)
        session.add(
            IdempotencyKey(
                tenant=tenant,
                key=key,
                request_sha256=request_sha256,
                status_code=answer.status_code,
                body=answer.body,
                created_at=now,
            )
        )
        return answer


def recall(db: Database, *, tenant: str, key: str, request_sha256: str) -> Answer | None:
    """The stored answer, if there is one: it spares a repeat the work of checking its rows. Raises Invalid as above."""
    with db.transaction() as session:
        stored = session.get(IdempotencyKey, (tenant, key))
    return _replay(stored, request_sha256) if stored else None


def _replay(stored: IdempotencyKey, request_sha256: str) -> Answer:
    if stored.request_sha256 != request_sha256:
        raise Invalid("this key was used for another request (address or body); send that one, or a new key", code="idempotency_key_reused")
    return Answer(stored.status_code, stored.body, replayed=True)


def forget_old_keys(db: Database) -> int:
    """Drop answers older than a day; returns how many."""
    with db.transaction() as session:
        gone = session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < db.now() - KEPT_FOR).returning(IdempotencyKey.key))
        return len(gone.all())
