"""hold_reasons: why a held job is not offered to workers, and the way out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from factory.domain.batch import Batch
from factory.domain.job import Job
from factory.domain.share import Allowance
from factory.domain.status import Hold
from factory.jobs.lanes import COUNTED
from factory.jobs.place_in_line import held_before
from factory.jobs.reasons import Reason
from factory.jobs.release_held import caps_room

SOON = "it is let go within seconds"


def of_hold(session: Session, job: Job, moment: datetime) -> Iterator[Reason]:
    """What it is held for, and what would hold it then; nothing for a job that is offered."""
    early = not job.attempt and job.not_before is not None and job.not_before > moment
    if job.hold == Hold.CAPPED:
        yield from _capped(session, job)
    elif job.hold == Hold.TWIN:
        yield _twin(session, job)
    if job.hold == Hold.SCHEDULED or early:
        yield _scheduled(job, moment)
    if job.hold == Hold.PAUSED or (job.hold is not None and _paused_at(session, job)):
        yield _paused(session, job)


def _scheduled(job: Job, moment: datetime) -> Reason:
    if job.not_before is None or job.not_before <= moment:
        return Reason("scheduled", f"the time it was ordered for has come: {SOON}")
    at = job.not_before.isoformat(timespec="seconds")
    return Reason("scheduled", f"it was ordered for {at} (`not_before`)", "cancel it and order it without `not_before`")


def _paused_at(session: Session, job: Job) -> datetime | None:
    batch = session.get(Batch, job.batch_id) if job.batch_id else None
    return batch.paused_at if batch else None


def _paused(session: Session, job: Job) -> Reason:
    at = _paused_at(session, job)
    if at is None:
        return Reason("paused", f"its batch has been resumed: {SOON}")
    since = f"its batch is paused since {at.isoformat(timespec='seconds')}"
    if job.hold == Hold.TWIN:
        return Reason("paused", f"{since}, which does not keep it from delivering that picture")
    return Reason("paused", since, f"POST /api/v1/batches/{job.batch_id}/resume")


def _capped(session: Session, job: Job) -> Iterator[Reason]:
    user = job.end_user or ""
    room, users = caps_room(session, job.tenant)
    full = {"": room is not None and room <= 0}
    if user:
        full[user] = users.get(user, 1) <= 0
    wanted = [Allowance.tenant == job.tenant, Allowance.member.in_(list(full)), Allowance.max_running.is_not(None)]
    caps = [row for row in session.scalars(select(Allowance).where(*wanted).order_by(Allowance.member)) if full[row.member]]
    for cap in caps:
        whose = f"user {cap.member}" if cap.member else "your tenant"
        option = f" --user {cap.member}" if cap.member else ""
        message = f"{whose} may have {cap.max_running} pictures waiting or in work at once, and has them"
        change = f"an operator raises it: `factory queue allow {job.tenant}{option} --max-running …`"
        yield Reason("capped", message + _before(session, job), change)
    if not caps:
        yield Reason("capped", f"a cap had no room for it; there is room again: {SOON}{_before(session, job)}")


def _before(session: Session, job: Job) -> str:
    count = held_before(session, job)
    more = "at least " if count >= COUNTED else ""
    return f"; {more}{count} of yours are let go before it" if count else "; it is the first to be let go"


def _twin(session: Session, job: Job) -> Reason:
    twin = session.get(Job, job.twin_id) if job.twin_id else None
    if twin is None:
        return Reason("twin", f"the job whose picture it was to deliver is gone: {SOON}")
    message = f"job {twin.id} ({twin.status}) makes the same picture, and this one will deliver it too, at no cost"
    return Reason("twin", message, "order it with `reuse` off to have it drawn again")
