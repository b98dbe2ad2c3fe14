"""renew_leases: a worker says that it still works on what it claimed, and learns what it has lost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import and_, case, or_, select, update

from factory.db import Database
from factory.domain.claim import Claim
from factory.domain.job import Job
from factory.domain.status import Phase
from factory.jobs.held import held


def renew_leases(db: Database, claims: Mapping[Claim, Phase], lease: timedelta) -> set[Claim]:
    """Extend each lease that its claim still holds and note its phase; returns the claims still held.

    A claim that is missing from the answer was canceled, or its lease ran out and another attempt has the job, maybe by the same worker.
    Asked each second, it writes only when a third of the lease is gone or the phase has changed.
    """
    now = db.now()
    with db.transaction() as session:
        due = Job.lease_until < now + lease * 2 / 3
        rows = session.execute(select(Job.id, Job.attempt, Job.phase, due).where(or_(*(and_(*held(claim)) for claim in claims)))).all()
        found = {(job_id, attempt): (phase, is_due) for job_id, attempt, phase, is_due in rows}
        # Locked in id order, as a cancel locks them: neither can wait for the other in a circle.
        for claim, phase in sorted(claims.items(), key=lambda item: item[0].job_id):
            key = claim.job_id, claim.attempt
            if key in found and found[key] != (phase.value, False):
                until = case((due, now + lease), else_=Job.lease_until)
                renewed = update(Job).where(*held(claim)).values(lease_until=until, phase=phase.value).returning(Job.id)
                if session.execute(renewed).scalar() is None:
                    del found[key]
    return {claim for claim in claims if (claim.job_id, claim.attempt) in found}
