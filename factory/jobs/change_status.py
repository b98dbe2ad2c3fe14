"""The one place where a job's status changes, and where the audit event of that change is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, bindparam, cast, func, insert, literal, null, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from factory.domain.audit_event import Actor, AuditAction, AuditEvent
from factory.domain.job import Job
from factory.domain.status import TERMINAL, JobStatus, sources
from factory.jobs.enter_queue import announce, waits_again

JOBS = Job.__table__
LOGGED = (JOBS.c.id, JOBS.c.tenant, JOBS.c.batch_id, JOBS.c.attempt, JOBS.c.sku)
RELEASED: dict[str, Any] = {"lease_until": null(), "worker": null(), "phase": null()}


def pick(*where: ColumnElement[bool]) -> Select[Any]:
    """Jobs to change; callers add order and limit. `was` is the status before."""
    statement: Select[Any] = select(Job.id.label("picked_id"), Job.status.label("was")).where(*where)  # type: ignore[assignment]
    return statement


def change_status(
    session: Session,
    picked: Select[Any],
    to: JobStatus,
    *,
    now: ColumnElement[Any],
    action: AuditAction,
    actor: Actor,
    values: Mapping[str, Any] | None = None,
    detail: Mapping[str, Any] | None = None,
    returning: Sequence[ColumnElement[Any]] = (),
    told: Sequence[str] = (),
) -> Sequence[Row[Any]]:
    """Move every picked job that may become `to`; returns what LOGGED names of each changed row, `was`, and `returning`.
    The event tells `detail` and the columns in `told`. What waits again does so behind the marks (enter_queue).
    """
    values = dict(values or {})
    if to is JobStatus.QUEUED:
        announce(session)
        values = {**waits_again(), **values}
    statement = status_statement(
        picked, to, now=now, action=action, actor=actor, values=values, detail=detail, returning=returning, told=told
    )
    return session.execute(statement).all()


def status_statement(
    picked: Select[Any],
    to: JobStatus,
    *,
    now: ColumnElement[Any],
    action: AuditAction,
    actor: Actor,
    values: Mapping[str, Any],
    detail: Mapping[str, Any] | None = None,
    returning: Sequence[ColumnElement[Any]] = (),
    told: Sequence[str] = (),
) -> Select[Any]:
    """The statement of change_status, for who sends it too often to build it each time: the actor's name is the bind `actor_name`, and
    `picked` is `chosen` in it. Not for jobs that wait again: those are announced first.

    One statement: rows are locked, changed and logged together, so no status can change without its event and no
    event can be written without its change. A row that another transaction holds is skipped or waited for as the
    caller's `with_for_update` on `picked` says; the default waits.
    """
    if picked._for_update_arg is None:  # noqa: SLF001 - SQLAlchemy offers no public reader of it
        picked = picked.with_for_update(of=Job)
    chosen = picked.where(Job.status.in_([literal(status.value) for status in sources(to)])).cte("chosen")
    columns: dict[str, Any] = {"status": to.value, "hold": null(), **(RELEASED if to is not JobStatus.RUNNING else {}), **values}
    if to in TERMINAL:
        columns.setdefault("finished_at", now)
    returned = *LOGGED, chosen.c.was, *returning, *(JOBS.c[name] for name in told)
    moved = update(Job).where(JOBS.c.id == chosen.c.picked_id).values(columns).returning(*returned).cte("moved")
    event = select(
        now.label("at"),
        moved.c.tenant,
        literal(actor.kind),
        bindparam("actor_name", actor.name),
        literal(action.value),
        moved.c.batch_id,
        moved.c.id,
        moved.c.attempt,
        moved.c.sku,
        moved.c.was,
        literal(to.value),
        cast(func.jsonb_build_object(*_pairs(detail), *(part for name in told for part in (literal(name), moved.c[name]))), JSONB),
    )
    logged = insert(AuditEvent).from_select(EVENT_COLUMNS, event).cte("logged")
    return select(moved).add_cte(logged)


EVENT_COLUMNS = ["at", "tenant", "actor_kind", "actor", "action", "batch_id", "job_id", "attempt", "sku", "was", "became", "detail"]


def _pairs(detail: Mapping[str, Any] | None) -> list[Any]:
    return [part for name, value in (detail or {}).items() for part in (literal(name), _json(value))]


def _json(value: Any) -> ColumnElement[Any]:
    """A value as it is, a bind as what it will be."""
    return value if isinstance(value, ColumnElement) else literal(value, JSONB)
