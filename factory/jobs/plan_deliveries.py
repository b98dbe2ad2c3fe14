"""plan_deliveries: the audit log becomes deliveries, each event once for each endpoint that asked for it, late commits included.

Ids are no order of commits: while an event with a low id is not committed, others with higher ids are read already, and
a reader that only remembers the last id would never see it. So the log is read in the order of (transaction, id), and only
up to the oldest transaction that is still open: behind that line nothing can appear any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, Select, and_, func, literal, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.asset import Asset
from factory.domain.audit_event import AuditEvent
from factory.domain.batch import Batch
from factory.domain.job import Job
from factory.domain.row import new_id
from factory.domain.webhook import WebhookCursor, WebhookDelivery, WebhookEndpoint
from factory.jobs.describe_event import describe_event, names_of, wants
from factory.logs import get_logger

log = get_logger(__name__)
CHUNK = 1000
END = 2**63 - 1
# Older events are no news: after a restore, or when nobody planned for a week, they are asked for by a replay.
NEWS = timedelta(days=7)
HORIZON = text("SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint FROM pg_current_snapshot() AS s")


@dataclass(frozen=True)
class Planned:
    """`more`: another chunk is waiting."""

    events: int
    deliveries: int
    more: bool


def plan_deliveries(db: Database, *, public_url: str, chunk: int = CHUNK) -> Planned:
    """One chunk in one transaction. Safe to run twice at once: the second finds the cursor taken and does nothing."""
    now = db.now()
    with db.transaction() as session:
        cursor = session.scalars(select(WebhookCursor).where(WebhookCursor.id == 1).with_for_update(skip_locked=True)).first()
        if cursor is None:
            return Planned(0, 0, more=False)
        settled, unborn = session.execute(HORIZON).one()
        if cursor.tx >= unborn:
            log.warning("webhook cursor starts anew: the database was restored into another server", tx=cursor.tx, newest=unborn - 1)
            cursor.tx, cursor.event_id = 0, 0
        endpoints = _live_endpoints(session)
        rows = _settled_events(session, cursor, settled, list(endpoints), now, chunk) if endpoints else []
        planned = _plan(session, rows, endpoints, session.execute(select(now)).scalar_one(), public_url)
        full = len(rows) == chunk
        cursor.tx, cursor.event_id = (rows[-1].tx, rows[-1].id) if full else (settled - 1, END)
    return Planned(len(rows), planned, more=full)


def events_with_links(chosen: Select[Any]) -> Select[Any]:
    """What `describe_event` needs of the chosen events. They are chosen first, so that nothing else is joined."""
    event = chosen.subquery("event")
    statement: Select[Any] = (
        select(
            event,
            Job.external_id.label("job_external_id"),
            Batch.external_id.label("batch_external_id"),
            Asset.id.label("asset_id"),
        )
        .select_from(event)
        .outerjoin(Job, Job.id == event.c.job_id)
        .outerjoin(Batch, Batch.id == event.c.batch_id)
        .outerjoin(Asset, Asset.job_id == func.coalesce(Job.twin_id, Job.id))
    )
    return statement


def _live_endpoints(session: Session) -> dict[str, list[WebhookEndpoint]]:
    found: dict[str, list[WebhookEndpoint]] = {}
    for endpoint in session.scalars(select(WebhookEndpoint).where(WebhookEndpoint.disabled_at.is_(None)).order_by(WebhookEndpoint.id)):
        found.setdefault(endpoint.tenant, []).append(endpoint)
    return found


def _settled_events(
    session: Session, cursor: WebhookCursor, settled: int, tenants: list[str], now: ColumnElement[datetime], chunk: int
) -> Sequence[Row[Any]]:
    place = tuple_(AuditEvent.tx, AuditEvent.id)
    seen = tuple_(literal(cursor.tx, BigInteger), literal(cursor.event_id, BigInteger))
    mine = and_(AuditEvent.tenant.in_(tenants), AuditEvent.at >= now - NEWS)
    chosen = select(*AuditEvent.__table__.columns).where(place > seen, AuditEvent.tx < settled, mine).order_by(AuditEvent.tx, AuditEvent.id)
    return session.execute(events_with_links(chosen.limit(chunk)).order_by(text("event.tx, event.id"))).all()


def _plan(
    session: Session, rows: Sequence[Row[Any]], endpoints: dict[str, list[WebhookEndpoint]], moment: datetime, public_url: str
) -> int:
    planned = [
        delivery_of(row, endpoint, moment, public_url)
        for row in rows
        for endpoint in endpoints[row.tenant]
        if row.at >= endpoint.created_at and wants(endpoint.events, names_of(row))
    ]
    if planned:
        # A cursor that started anew reads some events a second time.
        session.execute(insert(WebhookDelivery).on_conflict_do_nothing(), planned)
    return len(planned)


def delivery_of(event: Any, endpoint: WebhookEndpoint, moment: datetime, public_url: str, *, replay: int = 0) -> dict[str, Any]:
    """A row of deliveries, due at once."""
    return {
        "id": new_id(),
        "tenant": endpoint.tenant,
        "endpoint_id": endpoint.id,
        "event_id": event.id,
        "replay": replay,
        "kind": names_of(event)[0],
        "payload": describe_event(event, public_url),
        "attempts": 0,
        "due_at": moment,
        "created_at": moment,
        "ended_at": None,
        "succeeded": False,
        "answer": None,
    }
