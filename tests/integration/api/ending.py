"""Jobs of one tenant that end as a test wants it; what other tests left in the queue is delivered on the way."""

from __future__ import annotations

from factory.db import Database
from factory.domain.claim import Claim
from factory.errors import BadPicture
from factory.jobs.end_attempt import RetryRules, end_attempt
from factory.storage import Storage
from tests.integration.api.finishing import claim_next, deliver


def deliver_one(db: Database, storage: Storage, tenant: str) -> Claim:
    """The tenant's next job, with bytes of its own."""
    while True:
        claim = claim_next(db)
        _deliver(db, storage, claim)
        if claim.tenant == tenant:
            return claim


def fail_one(db: Database, storage: Storage, tenant: str) -> Claim:
    """The tenant's next job fails for good."""
    while True:
        claim = claim_next(db)
        if claim.tenant == tenant:
            end_attempt(db, claim, BadPicture(), RetryRules())
            return claim
        _deliver(db, storage, claim)


def _deliver(db: Database, storage: Storage, claim: Claim) -> None:
    deliver(db, storage, claim, b"\x89PNG\r\n\x1a\n" + str(claim.job_id).encode() * 100)
