"""allowances: how much of the GPUs a tenant or one of its users may have. Only operators set them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.share import Allowance
from factory.domain.status import Lane
from factory.domain.tenant import Tenant
from factory.errors import Invalid, NotFound, Problem
from factory.jobs.apply_caps import apply_caps, lock_caps
from factory.jobs.log_event import log_event
from factory.jobs.release_held import release_capped

LIGHTEST, HEAVIEST = 0.001, 1000.0
MOST = 2**31 - 1


@dataclass(frozen=True)
class Grant:
    """`weight` is the share beside others', of the tenants or of one tenant's users; a cap of None is no cap of their own."""

    weight: float = 1.0
    max_running: int | None = None
    max_queued: int | None = None


def set_allowance(db: Database, *, tenant: str, member: str = "", grant: Grant, actor: Actor, closed: Collection[Lane] = ()) -> Allowance:
    """For the tenant, or for its user `member`. Works at once on what waits; `closed` lanes get no places (release_held).

    Raises Invalid, and NotFound for an unknown tenant.
    """
    check_grant(grant)
    now = db.now()
    with db.transaction() as session:
        _require_tenant(session, tenant)
        lock_caps(session, tenant)
        statement = insert(Allowance).values(tenant=tenant, member=member, **asdict(grant))
        session.execute(statement.on_conflict_do_update(index_elements=[Allowance.tenant, Allowance.member], set_=asdict(grant)))
        detail = {**({"user": member} if member else {}), **asdict(grant)}
        log_event(session, now=now, tenant=tenant, actor=actor, action=AuditAction.ALLOWANCE_SET, detail=detail)
        apply_caps(session, now, tenant=tenant)
        release_capped(session, now, tenant=tenant, closed=closed)
        return session.get_one(Allowance, (tenant, member))


def list_allowances(db: Database, *, tenant: str | None = None) -> Sequence[Allowance]:
    """The tenants' own first, each followed by its users'. Who is not listed has weight 1 and no cap of their own."""
    where = [] if tenant is None else [Allowance.tenant == tenant]
    with db.transaction() as session:
        return session.scalars(select(Allowance).where(*where).order_by(Allowance.tenant, Allowance.member)).all()


def allowance_of(db: Database, *, tenant: str, member: str = "") -> Allowance:
    """What was set, else what holds for everybody. Raises NotFound for an unknown tenant."""
    with db.transaction() as session:
        _require_tenant(session, tenant)
        found = session.get(Allowance, (tenant, member))
    return found or Allowance(tenant=tenant, member=member, **asdict(Grant()))


def check_grant(grant: Grant) -> None:
    """Raises Invalid that names each value out of bounds."""
    problems = []
    if not LIGHTEST <= grant.weight <= HEAVIEST:
        message = f"weight {grant.weight:g} must be {LIGHTEST:g} to {HEAVIEST:g}; 1 is everybody's"
        problems.append(Problem("invalid_value", message, "/weight", grant.weight))
    for name, value in (("max_running", grant.max_running), ("max_queued", grant.max_queued)):
        if value is not None and not 0 <= value <= MOST:
            problems.append(Problem("invalid_value", f"{name} {value} must be 0 … {MOST}; leave it out for no cap", f"/{name}", value))
    if problems:
        raise Invalid(None, *problems)


def _require_tenant(session: Session, tenant: str) -> None:
    if session.get(Tenant, tenant) is None:
        raise NotFound(f"no tenant is called {tenant[:80]!r}; `factory keys create --tenant …` makes one")
