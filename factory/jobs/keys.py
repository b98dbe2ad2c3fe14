"""keys: create, list, revoke and recognise API keys."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert

from factory.db import Database
from factory.domain.api_key import ApiKey, Scope, hash_secret, new_secret
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.caller import Caller
from factory.domain.row import new_id
from factory.domain.tenant import Tenant
from factory.errors import NotFound, Unauthorized
from factory.jobs.log_event import log_event

LAST_USED_PRECISION = timedelta(minutes=1)


def create_key(
    db: Database, *, tenant: str, name: str, scopes: Sequence[Scope], actor: Actor, life: timedelta | None = None
) -> tuple[ApiKey, str]:
    """Make a key, and its tenant if that is new; returns the row and the secret, which is not stored."""
    secret = new_secret()
    now = db.now()
    with db.transaction() as session:
        session.execute(insert(Tenant).values(id=tenant, created_at=now).on_conflict_do_nothing())
        moment = session.execute(select(now)).scalar_one()
        key = ApiKey(
            id=new_id(),
            tenant=tenant,
            name=name,
            prefix=secret[:10],
            secret_sha256=hash_secret(secret),
            scopes=[str(scope) for scope in scopes],
            created_at=moment,
            expires_at=moment + life if life else None,
        )
        session.add(key)
        detail = {"key": key.prefix, "name": name, "scopes": key.scopes}
        log_event(session, now=now, tenant=tenant, actor=actor, action=AuditAction.KEY_CREATED, detail=detail)
    return key, secret


def list_keys(db: Database, *, tenant: str | None = None) -> Sequence[ApiKey]:
    with db.transaction() as session:
        where = [] if tenant is None else [ApiKey.tenant == tenant]
        return session.scalars(select(ApiKey).where(*where).order_by(ApiKey.id)).all()


def revoke_key(db: Database, *, prefix: str, actor: Actor) -> int:
    """Revoke every live key that starts with `prefix`; returns how many. Raises NotFound when there is none."""
    with db.transaction() as session:
        revoked = session.execute(
            update(ApiKey)
            .where(ApiKey.prefix.startswith(prefix, autoescape=True), ApiKey.revoked_at.is_(None))
            .values(revoked_at=db.now())
            .returning(ApiKey.tenant, ApiKey.prefix)
        ).all()
        if not revoked:
            raise NotFound(f"no live key starts with {prefix!r}; see `factory keys list`")
        for tenant, shown in revoked:
            log_event(session, now=db.now(), tenant=tenant, actor=actor, action=AuditAction.KEY_REVOKED, detail={"key": shown})
    return len(revoked)


def recognise(db: Database, secret: str) -> Caller:
    """The caller behind a key. Raises Unauthorized for unknown, expired and revoked keys alike."""
    now = db.now()
    with db.transaction() as session:
        key = session.scalars(
            select(ApiKey).where(
                ApiKey.secret_sha256 == hash_secret(secret),
                ApiKey.revoked_at.is_(None),
                or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
            )
        ).first()
        if key is None:
            raise Unauthorized
        stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < now - LAST_USED_PRECISION)
        session.execute(update(ApiKey).where(ApiKey.id == key.id, stale).values(last_used_at=now))
        return Caller(tenant=key.tenant, name=key.prefix, key_id=uuid.UUID(str(key.id)), scopes=frozenset(key.scopes))
