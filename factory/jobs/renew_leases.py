"""renew_leases: a worker says that it still works on what it claimed, and learns what it has lost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import case, select, update

from factory.db import Database, among
from factory.domain.claim import Claim
from factory.domain.job import Job
from factory.domain.status import JobStatus, Phase
from factory.jobs.held import held


def renew_leases(db: Database, claims: Mapping[Claim, Phase], lease: timedelta) -> set[Claim]:
    """Extend each lease that its claim still holds and note its phase; returns the claims still held.

    A claim that is missing from the answer was canceled, or its lease ran out and another attempt has the job, maybe by the same worker.
    Asked each second, it writes only when a third of the lease is gone or the phase has changed.
    """
    now = db.now()
    with db.transaction() as session:
        due = Job.lease_until < now + lease * 2 / 3
        # One statement for any number: a text for each number of pictures that wait for the storage took 25 MB of each worker.
        running = among(Job.id, [claim.job_id for claim in claims]), Job.status == JobStatus.RUNNING.value
        rows = session.execute(select(Job.id, Job.attempt, Job.worker, Job.phase, due).where(*running)).all()
        found = {tuple(row[:3]): tuple(row[3:]) for row in rows}
        # Locked in id order, as a cancel locks them: neither can wait for the other in a circle.
        for claim, phase in sorted(claims.items(), key=lambda item: item[0].job_id):
            key = _holder(claim)
            if key in found and found[key] != (phase.value, False):
                until = case((due, now + lease), else_=Job.lease_until)
                renewed = update(Job).where(*held(claim)).values(lease_until=until, phase=phase.value).returning(Job.id)
                if session.execute(renewed).scalar() is None:
                    del found[key]
    return {claim for claim in claims if _holder(claim) in found}


def _holder(claim: Claim) -> tuple[Any, ...]:
    return claim.job_id, claim.attempt, claim.worker
