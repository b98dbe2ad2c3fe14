"""match_twins: an order that was drawn before, or that waits already, is not drawn again. It will deliver its twin's picture."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CTE, ColumnElement, Row, ScalarSelect, Text, Uuid, and_, any_, case, exists, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session, aliased

from factory.domain.asset import Asset
from factory.domain.batch import Batch
from factory.domain.job import Job
from factory.domain.status import Hold, JobStatus, Lane
from factory.jobs.change_status import JOBS
from factory.jobs.expire_assets import MARGIN, is_due
from factory.jobs.one_at_a_time import one_at_a_time

LANES = [lane.value for lane in Lane]  # the one that waits least comes first
REUSED = (JobStatus.QUEUED.value, JobStatus.SUCCEEDED.value)  # of a job with a twin: it will be delivered, or was
COLUMNS = (Job.id, Job.tenant, Job.spec_sha256, Job.lane, Job.batch_id, Job.hold, Job.not_before)


@dataclass(frozen=True)
class Reuse:
    """How many jobs need no drawing, and the GPU seconds that this saves."""

    reused: int = 0
    gpu_seconds: float = 0.0


@dataclass(frozen=True)
class Known:
    """Where the picture of a spec is to come from: `lane` is where it waits, `begun` says that a worker has it; neither: it is there."""

    lane: Lane | None = None
    begun: bool = False

    def serves(self, lane: Lane) -> bool:
        """Nobody waits for what waits in a lane behind their own."""
        return self.lane is None or list(Lane).index(self.lane) <= list(Lane).index(lane)


NOTHING_REUSED = Reuse()


def match_twins(session: Session, now: ColumnElement[Any], *, tenant: str, batch_id: uuid.UUID, after: int = 0) -> Reuse:
    """Give every new job of the batch that has an equal a twin, in the caller's transaction, after its rows were written: those `after`
    the last row that it had before.

    Of equal new ones the soonest is drawn. A second order of this tenant waits here until the first is committed, so that two equal
    orders at once are drawn once; who holds what others need takes the lock before (`lock_twins`). Raises Conflict when the first one
    takes too long.
    """
    lock_twins(session, tenant)
    other = aliased(Job)
    outside = or_(other.batch_id.is_distinct_from(batch_id), other.row_no <= after)
    waits = [Job.tenant == tenant, Job.status == JobStatus.QUEUED.value, Job.twin_id.is_(None)]
    mine = select(*COLUMNS).where(Job.batch_id == batch_id, Job.row_no > after, *waits).cte("mine")
    pairs = pair(mine, other, outside, now)
    moved = (
        update(Job)
        .where(JOBS.c.id == pairs.c.id, pairs.c.twin_id != pairs.c.id)
        .values(hold=Hold.TWIN.value, twin_id=pairs.c.twin_id)
        .returning(JOBS.c.cost)
        .cte("moved")
    )
    reused, seconds = session.execute(select(func.count(), func.coalesce(func.sum(moved.c.cost), 0.0)).select_from(moved)).one()
    return Reuse(reused, float(seconds))


def known_specs(session: Session, now: ColumnElement[Any], *, tenant: str, specs: Collection[str]) -> dict[str, Known]:
    """Which of these an order would find drawn, or in work, or waiting, and not draw again."""
    known = Job.tenant == tenant, Job.spec_sha256 == any_(literal(list(specs), ARRAY(Text))), Job.twin_id.is_(None)
    there = or_(_is_offered(Job), Job.status == JobStatus.RUNNING.value, _keeps_picture(Job.id, now))
    columns = Job.spec_sha256, Job.status, Job.lane
    found = session.execute(select(*columns).where(*known, there).distinct()).all()
    return {row.spec_sha256: _known(row.status, row.lane) for row in sorted(found, key=_soonest_last)}


def _known(status: str, lane: str) -> Known:
    return Known(Lane(lane) if status == JobStatus.QUEUED else None, begun=status == JobStatus.RUNNING)


def _soonest_last(row: Row[str, str, str]) -> tuple[bool, bool, int]:
    return row.status == JobStatus.SUCCEEDED, row.status == JobStatus.RUNNING, -LANES.index(row.lane)


def count_reused(session: Session, batch_id: uuid.UUID) -> Reuse:
    """What a batch did not have to draw, read off its jobs."""
    mine: list[ColumnElement[bool]] = [
        Job.batch_id == batch_id,
        Job.twin_id.is_not(None),
        Job.superseded.is_(False),
        Job.status.in_(REUSED),
    ]
    reused, seconds = session.execute(select(func.count(), func.coalesce(func.sum(Job.cost), 0.0)).where(*mine)).one()
    return Reuse(reused, float(seconds))


def pair(mine: CTE, other: type[Job], outside: ColumnElement[bool], now: ColumnElement[Any]) -> CTE:
    """(id, twin_id) of each job in `mine`: an equal one from outside, else the soonest among equals, which is its own twin then.

    By windows, not by a join: of rows written a moment ago the planner expects one, and would join each with every other.
    """
    soonest = (mine.c.hold == Hold.SCHEDULED.value).is_(True), mine.c.not_before.nulls_first(), _rank(mine.c.lane), mine.c.id
    equal = mine.c.tenant, mine.c.spec_sha256
    ranked = select(mine, func.row_number().over(partition_by=equal, order_by=soonest).label("nth")).cte("ranked")
    # Asked once for all equals, and not again for each row of their window.
    twin = case((ranked.c.nth == 1, func.coalesce(_original(ranked, other, outside, now), ranked.c.id)))
    chosen = select(ranked.c.id, ranked.c.tenant, ranked.c.spec_sha256, ranked.c.nth, twin.label("twin_id")).cte("chosen")
    chosen = chosen.prefix_with("MATERIALIZED", dialect="postgresql")
    first = func.first_value(chosen.c.twin_id, type_=Uuid)
    of_all = first.over(partition_by=(chosen.c.tenant, chosen.c.spec_sha256), order_by=chosen.c.nth)
    return select(chosen.c.id, of_all.label("twin_id")).cte("pairs")


def is_coming(original: Any, job: Any) -> ColumnElement[bool]:
    """Whether the picture of `original` is on its way and comes no later than `job` would get its own. Never a twin: no chains."""
    waits = and_(original.twin_id.is_(None), _rank(original.lane) <= _rank(job.lane), _is_offered(original))
    return or_(waits, original.status == JobStatus.RUNNING.value)


def _is_paused_beside(original: Any, job: Any) -> ColumnElement[bool]:
    """In the batch that `job` is added to: both go on when it does."""
    return and_(original.batch_id == job.batch_id, original.hold == Hold.PAUSED.value, _rank(original.lane) <= _rank(job.lane))


def _is_offered(job: Any) -> ColumnElement[bool]:
    """To workers, now or when its cap has room."""
    return and_(
        job.status == JobStatus.QUEUED.value,
        or_(job.hold.is_(None), job.hold == Hold.CAPPED.value),
        ~exists().where(Batch.id == job.batch_id, Batch.paused_at.is_not(None)),
    )


def has_picture(job_id: Any) -> ColumnElement[bool]:
    """An asset exists exactly when its job succeeded; one whose retention ended has no file."""
    return exists().where(Asset.job_id == job_id, Asset.deleted_at.is_(None))


def _keeps_picture(job_id: Any, now: ColumnElement[Any]) -> ColumnElement[bool]:
    """And has it for long enough that nobody is deleting it while we look."""
    return exists().where(Asset.job_id == job_id, Asset.deleted_at.is_(None), ~is_due(now + MARGIN))


def _original(firsts: CTE, other: type[Job], outside: ColumnElement[bool], now: ColumnElement[Any]) -> ScalarSelect[Any]:
    equal = other.tenant == firsts.c.tenant, other.spec_sha256 == firsts.c.spec_sha256
    done_first = other.status == JobStatus.SUCCEEDED.value
    coming = or_(is_coming(other, firsts.c), _is_paused_beside(other, firsts.c), _keeps_picture(other.id, now))
    found = select(other.id).where(*equal, other.twin_id.is_(None), outside, coming)
    return found.order_by(done_first.desc(), other.id).limit(1).scalar_subquery()


def _rank(lane: Any) -> ColumnElement[int]:
    return case({name: number for number, name in enumerate(LANES)}, value=lane, else_=len(LANES))


def lock_twins(session: Session, tenant: str) -> None:
    """Who waits too long is told so by a Conflict."""
    busy = "another large order of yours is being taken at this moment; send this one again in a few seconds"
    one_at_a_time(session, f"twins\x1f{tenant}", busy=busy)
