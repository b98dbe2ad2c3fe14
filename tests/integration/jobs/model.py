"""What the jobs table ought to hold: a dict of plain records, moved by the same steps as the real verbs, and no database."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from factory.domain.claim import Claim
from factory.errors import Capacity, Permanent, Refused
from factory.jobs.claim_job import AVOIDED_FOR
from factory.jobs.claim_lists import W_SECONDS

OPEN = ("queued", "running")


@dataclass
class Known:
    """One job as it ought to be. `changes` are the status changes so far, each (was, became, attempt).

    `vft` and `turn` are taken from the rows: what they ought to be, the tests of shares and marks say.
    """

    id: uuid.UUID
    lane: str
    checkpoint: str
    ordered_at: datetime
    expires_at: datetime | None = None
    status: str = ""
    attempt: int = 0
    worker: str | None = None
    phase: str | None = None
    lease_until: datetime | None = None
    not_before: datetime | None = None
    avoid_worker: str | None = None
    failures: int = 0
    lost_leases: int = 0
    dead_letter: bool = False
    vft: float = 0.0
    turn: float = 0.0
    replayed_at: datetime | None = None
    changes: list[tuple[str | None, str, int]] = field(default_factory=list)

    @property
    def ready_at(self) -> datetime:
        """Who waits again after a fault has waited all the time."""
        return self.replayed_at or self.ordered_at

    def become(self, status: str) -> None:
        self.changes.append((self.status or None, status, self.attempt))
        self.status = status
        if status != "running":
            self.worker = self.lease_until = self.phase = None

    def is_held_by(self, claim: Claim) -> bool:
        return (self.status, self.attempt, self.worker) == ("running", claim.attempt, claim.worker)

    def is_takeable(self, worker: str, now: datetime) -> bool:
        if self.status != "queued" or (self.expires_at and self.expires_at <= now) or (self.not_before and self.not_before > now):
            return False
        return self.avoid_worker != worker or bool(self.not_before and self.not_before <= now - AVOIDED_FOR)

    def take(self, worker: str, until: datetime, *, ahead: bool) -> None:
        self.attempt += 1
        self.become("running")
        self.phase = "claimed" if ahead else "generating"
        self.worker, self.lease_until = worker, until

    def renew(self, now: datetime, lease: timedelta, phase: str) -> None:
        self.phase = phase
        if self.lease_until and self.lease_until < now + lease * 2 / 3:
            self.lease_until = now + lease

    def fail(self, fault: Exception, max_failures: int) -> None:
        """By the branch of the error; the backoff is random, so the caller fills in `not_before`."""
        holder = self.worker
        if isinstance(fault, Refused):
            self.become("rejected")
            return
        self.failures += 1
        if isinstance(fault, Permanent):
            self.become("failed")
        elif self.failures >= max_failures:
            self.dead_letter = True
            self.become("failed")
        else:
            self.avoid_worker = holder if isinstance(fault, Capacity) and self.avoid_worker is None else None
            self.become("queued")

    def lose(self, now: datetime, max_lost_leases: int) -> None:
        """Only a job that was being drawn may be what its worker died of."""
        drawn = self.phase in ("loading", "generating")
        self.lost_leases += drawn
        if drawn and self.lost_leases >= max_lost_leases:
            self.dead_letter = True
            self.become("failed")
        else:
            self.not_before = now
            self.become("queued")

    def replay(self, now: datetime) -> None:
        self.replayed_at = now
        self.failures = self.lost_leases = 0
        self.dead_letter, self.not_before, self.avoid_worker = False, None, None
        self.become("queued")


def best_for(jobs: Sequence[Known], worker: str, resident: Sequence[str], now: datetime) -> Known | None:
    """The head of the first list that has one, for a worker that has not drawn anything yet; of its lane and checkpoint, whose turn it is."""
    takeable = [job for job in jobs if job.is_takeable(worker, now)]

    def head(lane: str, checkpoint: str | None = None) -> Known | None:
        mine = (job for job in takeable if job.lane == lane and checkpoint in (None, job.checkpoint))
        return min(mine, key=lambda job: (job.vft, job.id), default=None)

    interactive = head("interactive")
    waited = interactive if interactive and interactive.ready_at <= now - timedelta(seconds=W_SECONDS) else None
    near = {lane: [head(lane, name) for name in resident] for lane in ("interactive", "bulk")}
    lists = [*near["interactive"], waited, *near["bulk"], interactive, head("bulk")]
    first = next((job for job in lists if job), None)
    if first is None:
        return None
    line = [job for job in takeable if (job.lane, job.checkpoint) == (first.lane, first.checkpoint)]
    return min(line, key=lambda job: (job.turn, job.id))
