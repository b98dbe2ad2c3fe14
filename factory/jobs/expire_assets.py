"""expire_assets: pictures whose retention has ended leave the storage; their records stay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Interval, SQLColumnExpression, and_, case, exists, func, insert, literal, null, or_, select, update
from sqlalchemy.orm import Session, aliased

from factory.db import Database, among
from factory.domain.asset import Asset
from factory.domain.audit_event import Actor, AuditAction, AuditEvent
from factory.domain.batch import Batch
from factory.domain.job import Job
from factory.domain.status import JobStatus
from factory.jobs.change_status import EVENT_COLUMNS
from factory.storage import Storage
from factory.storage.lifecycle import RETENTION

UPKEEP = Actor("upkeep", "expire_assets")
PAGE = 2000  # pictures that are looked at in one statement, due or not
SINGLE = "archive"  # what a picture that belongs to no batch has: nobody chose an end for it
# What finds a picture to deliver again leaves those alone that end within this time: they might go while it looks.
MARGIN = timedelta(hours=1)
SOONEST = min(life for life in RETENTION.values() if life is not None)


def expire_assets(db: Database, storage: Storage) -> int:
    """Returns how many pictures were deleted. Raises StorageDown; what was not deleted yet goes the next time.

    First the object, then the record: a process that dies between the two deletes the object a second time, which is harmless.
    """
    gone, after = 0, datetime.fromtimestamp(0, UTC)
    while True:
        with db.transaction() as session:
            until = _next_place(session, db.now(), after)
            page = [Asset.created_at > after, *([] if until is None else [Asset.created_at <= until])]
            found = session.execute(select(Asset.id, Asset.key).where(*page, is_due(db.now()))).all()
        for row in found:
            storage.delete(row.key)
        gone += _record(db, found)
        if until is None:
            return gone
        after = until


def _next_place(session: Session, at: ColumnElement[Any], after: datetime) -> datetime | None:
    """The time of the last picture of the next page; None when this page is the last one. Of what is kept nothing is read twice."""
    kept = [Asset.deleted_at.is_(None), Asset.created_at > after, Asset.created_at < at - SOONEST]
    return session.scalar(select(Asset.created_at).where(*kept).order_by(Asset.created_at).offset(PAGE - 1).limit(1))


def is_due(at: ColumnElement[Any]) -> ColumnElement[bool]:
    """Of an asset: its class ended before `at`, and so did that of every job that delivers the same picture again."""
    twin, order, again = aliased(Job), aliased(Batch), aliased(Batch)
    own = func.coalesce(select(order.retention).where(order.id == Asset.batch_id).scalar_subquery(), SINGLE)
    live = or_(
        twin.status == JobStatus.QUEUED.value,
        and_(twin.status == JobStatus.SUCCEEDED.value, ~_ended(func.coalesce(again.retention, SINGLE), twin.finished_at, at)),
    )
    delivered_again = exists(
        select(twin.id).outerjoin(again, again.id == twin.batch_id).where(twin.twin_id == Asset.job_id, live).correlate(Asset)
    )
    return and_(Asset.deleted_at.is_(None), Asset.created_at < at - SOONEST, _ended(own, Asset.created_at, at), ~delivered_again)


def _ended(retention: ColumnElement[Any], since: SQLColumnExpression[Any], at: ColumnElement[Any]) -> ColumnElement[bool]:
    """A class that is not known here never ends."""
    lives = [(retention == name, literal(life, Interval)) for name, life in RETENTION.items() if life is not None]
    return func.coalesce(since < at - case(*lives, else_=null()), False)


def _record(db: Database, found: Sequence[Any]) -> int:
    ids = [row.id for row in found]
    now = db.now()
    if not ids:
        return 0
    columns = (Asset.tenant, Asset.batch_id, Asset.job_id, Asset.attempt, Asset.key, Asset.sha256)
    ended = update(Asset).where(among(Asset.id, ids), Asset.deleted_at.is_(None)).values(deleted_at=now).returning(*columns).cte("ended")
    detail = func.jsonb_build_object("key", ended.c.key, "sha256", ended.c.sha256)
    event = select(
        now.label("at"),
        ended.c.tenant,
        literal(UPKEEP.kind),
        literal(UPKEEP.name),
        literal(AuditAction.ASSET_EXPIRED.value),
        ended.c.batch_id,
        ended.c.job_id,
        ended.c.attempt,
        null(),
        null(),
        null(),
        detail,
    )
    logged = insert(AuditEvent).from_select(EVENT_COLUMNS, event).cte("logged")
    with db.transaction() as session:
        return len(session.execute(select(ended.c.job_id).add_cte(logged)).all())
