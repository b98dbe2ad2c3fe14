"""Jobs of one tenant that end as a test wants it; what other tests left in the queue is delivered on the way."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from factory.db import Database
from factory.domain.claim import Claim
from factory.errors import BadPicture
from factory.jobs.claim_job import claim_job
from factory.jobs.close_job import Finished, close_job
from factory.jobs.end_attempt import RetryRules, end_attempt
from factory.storage import Storage, file_name, object_key

LEASE = timedelta(seconds=60)


def deliver_one(db: Database, storage: Storage, tenant: str) -> Claim:
    """The tenant's next job, with bytes of its own."""
    while True:
        claim = _claim(db)
        _deliver(db, storage, claim)
        if claim.tenant == tenant:
            return claim


def fail_one(db: Database, storage: Storage, tenant: str) -> Claim:
    """The tenant's next job fails for good."""
    while True:
        claim = _claim(db)
        if claim.tenant == tenant:
            end_attempt(db, claim, BadPicture(), RetryRules())
            return claim
        _deliver(db, storage, claim)


def _claim(db: Database) -> Claim:
    claim = claim_job(db, worker="w1", lease=LEASE)
    assert claim is not None
    return claim


def _deliver(db: Database, storage: Storage, claim: Claim) -> None:
    content = b"\x89PNG\r\n\x1a\n" + str(claim.job_id).encode() * 100
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
