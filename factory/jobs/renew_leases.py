"""renew_leases: a worker says that it still works on what it claimed, and learns what it has lost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    Integer,
    Interval,
    TableValuedAlias,
    Text,
    Uuid,
    bindparam,
    case,
    column,
    func,
    or_,
    select,
    union_all,
    update,
)

from factory.db import Compiled, Database, compiled_now
from factory.domain.claim import Claim
from factory.domain.job import Job
from factory.domain.status import Phase
from factory.jobs.held import fence

HOLDER = (Job.id, Job.attempt, Job.worker)


def renew_leases(db: Database, claims: Mapping[Claim, Phase], lease: timedelta) -> set[Claim]:
    """Extend each lease that its claim still holds and note its phase; returns the claims still held.

    A claim that is missing from the answer was canceled, or its lease ran out and another attempt has the job, maybe by the same worker.
    Asked each second, it writes only when a third of the lease is gone or the phase has changed.
    """
    binds: dict[str, Any] = {
        "ids": [claim.job_id for claim in claims],
        "attempts": [claim.attempt for claim in claims],
        "workers": [claim.worker for claim in claims],
        "phases": [phase.value for phase in claims.values()],
        "lease": lease,
        "unspent": lease * 2 / 3,
    }
    held = {tuple(row) for row in db.run_alone(_renewing(own_clock=db.clock is not None), binds)}
    return {claim for claim in claims if (claim.job_id, claim.attempt, claim.worker) in held}


@lru_cache(maxsize=2)
def _renewing(*, own_clock: bool) -> Compiled:
    """One statement for any number, built once: a text for each number of pictures that wait for the storage took 25 MB of each worker."""
    now = compiled_now(own_clock=own_clock)
    asked = _asked()
    due = Job.lease_until < now + bindparam("unspent", type_=Interval)
    differs = or_(due, Job.phase.is_distinct_from(asked.c.phase)).label("differs")
    found = select(*HOLDER, asked.c.phase, differs).where(*fence(asked.c.id, asked.c.attempt, asked.c.worker)).cte("found")
    # Locked in id order, as a cancel locks them: neither can wait for the other in a circle.
    still = fence(found.c.id, found.c.attempt, found.c.worker)
    locked = select(Job.id, found.c.phase).where(found.c.differs, *still).order_by(Job.id).with_for_update(of=Job).cte("locked")
    until = case((due, now + bindparam("lease", type_=Interval)), else_=Job.lease_until)
    renewed = update(Job).where(Job.id == locked.c.id).values(lease_until=until, phase=locked.c.phase).returning(*HOLDER).cte("renewed")
    as_they_are = select(found.c.id, found.c.attempt, found.c.worker).where(~found.c.differs)
    return Compiled.of(union_all(as_they_are, select(renewed)))


def _asked() -> TableValuedAlias:
    columns = column("id", Uuid), column("attempt", Integer), column("worker", Text), column("phase", Text)
    arrays = (bindparam(f"{one.name}s", type_=ARRAY(one.type)) for one in columns)
    return func.unnest(*arrays).table_valued(*columns).render_derived(name="asked")
