"""renew_leases: a worker says that it still works on what it claimed, and learns what it has lost."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import case, update

from factory.db import Database
from factory.domain.claim import Claim
from factory.domain.job import Job
from factory.domain.status import Phase
from factory.jobs.held import held


def renew_leases(db: Database, claims: Mapping[Claim, Phase], lease: timedelta) -> set[uuid.UUID]:
    """Extend each lease that its claim still holds and note its phase; returns the ids still held.

    A claim whose id is missing from the answer was canceled, or its lease ran out and another worker has the job.
    """
    still_held: set[uuid.UUID] = set()
    until = db.now() + lease
    with db.transaction() as session:
        for claim, phase in sorted(claims.items(), key=lambda item: item[0].job_id):
            # Writing the same lease again would cost a row version each second for nothing.
            due = case((Job.lease_until < db.now() + lease * 2 / 3, until), else_=Job.lease_until)
            renewed = session.execute(update(Job).where(*held(claim)).values(lease_until=due, phase=phase.value).returning(Job.id)).scalar()
            if renewed:
                still_held.add(renewed)
    return still_held
