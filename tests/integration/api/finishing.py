"""What a worker would do: draw nothing, store something, close the job."""

from __future__ import annotations

import hashlib
import time
from datetime import timedelta

from factory.db import Database
from factory.domain.claim import Claim
from factory.jobs.claim_job import claim_job
from factory.jobs.close_job import Finished, close_job
from factory.storage import Storage, file_name, object_key

CONTENT = b"\x89PNG\r\n\x1a\n a picture"
LEASE = timedelta(seconds=60)


def finish_one(db: Database, storage: Storage) -> Claim:
    """Claim the next job, whoever's, and deliver it."""
    claim = claim_next(db)
    deliver(db, storage, claim, CONTENT)
    return claim


def claim_next(db: Database) -> Claim:
    claim = claim_job(db, worker="w1", lease=LEASE)
    assert claim is not None
    return claim


def deliver(db: Database, storage: Storage, claim: Claim, content: bytes) -> None:
    key = object_key(claim.tenant, claim.project, claim.day, claim.seq, claim.attempt)
    name, digest = file_name(claim.project, claim.day, claim.seq), hashlib.sha256(content).hexdigest()
    storage.put(key, content, media_type="image/png", sha256=digest, filename=name)
    close_job(
        db,
        claim,
        Finished(
            key=key,
            filename=name,
            media_type="image/png",
            size=len(content),
            sha256=digest,
            width=claim.spec.width,
            height=claim.spec.height,
            evaluations=8,
            facts={},
            seconds={},
            policy_version=claim.spec.policy_version,
        ),
    )


def finish_all(db: Database, storage: Storage, tenant: str) -> int:
    """Deliver until nothing of this tenant is left in the queue; how many of its jobs that were."""
    from factory.jobs.find_jobs import JobFilter, list_jobs
    from factory.jobs.settle_twins import settle_every_twin

    done = 0
    while any(found.job.hold is None for found in list_jobs(db, tenant=tenant, wanted=JobFilter(status=("queued",)), limit=200)):
        done += finish_one(db, storage).tenant == tenant
        settle_every_twin(db)
    return done


def finish_what_comes(db: Database, storage: Storage, tenant: str, seconds: float = 60) -> int:
    """The same of an order that may still be on its way."""
    end = time.monotonic() + seconds
    while not (done := finish_all(db, storage, tenant)) and time.monotonic() < end:
        time.sleep(0.05)
    return done
