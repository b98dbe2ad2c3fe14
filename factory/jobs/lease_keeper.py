"""LeaseKeeper: renews what this worker holds, and tells at once what it has lost. One thread, one statement a claim."""

from __future__ import annotations

import threading
from datetime import timedelta

from factory import metrics
from factory.db import Database
from factory.domain.claim import Claim
from factory.domain.status import Phase
from factory.errors import DatabaseDown, LeaseLost
from factory.jobs.renew_leases import renew_leases
from factory.logs import get_logger

log = get_logger(__name__)
TICK_SECONDS = 1.0
DROP_SECONDS = 0.05


class LeaseKeeper:
    """Holds claims from `hold` until `drop`. While the database is away nothing is known to be lost, and nothing is written."""

    def __init__(self, db: Database, lease: timedelta) -> None:
        self._db, self._lease = db, lease
        self._phases: dict[Claim, Phase] = {}
        self._lost: set[Claim] = set()
        self._guard = threading.Lock()
        self._stop, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)
        self._thread.start()

    def hold(self, claim: Claim, phase: Phase = Phase.GENERATING) -> None:
        """From now on `claim` is renewed, as in `phase`. That a claim made ahead begins to be drawn is noted in the table at once."""
        with self._guard:
            begins = self._phases.get(claim) is Phase.CLAIMED and phase is not Phase.CLAIMED
            self._phases[claim] = phase
        if begins:
            self._wake.set()

    def drop(self, claim: Claim) -> None:
        with self._guard:
            self._phases.pop(claim, None)
            self._lost.discard(claim)

    def require(self, claim: Claim) -> None:
        """Raises LeaseLost when this claim is known to be lost."""
        if claim in self._lost:
            raise LeaseLost(job_id=str(claim.job_id), attempt=claim.attempt)

    @property
    def held(self) -> list[Claim]:
        with self._guard:
            return list(self._phases)

    def close(self) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout=5)

    def tick(self) -> None:
        """One renewal of everything held."""
        with self._guard:
            asked = {claim: phase for claim, phase in self._phases.items() if claim not in self._lost}
        if not asked:
            return
        held = renew_leases(self._db, asked, self._lease)
        missing = [claim for claim in asked if claim not in held]
        if missing:
            # A claim whose job has just succeeded is about to be dropped: that is no loss.
            self._stop.wait(DROP_SECONDS)
        with self._guard:
            for claim in missing:
                if claim in self._phases:
                    self._lost.add(claim)
                    metrics.leases_lost_total.inc()
                    log.info("lease lost", job_id=str(claim.job_id), attempt=claim.attempt)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(min(TICK_SECONDS, self._lease.total_seconds() / 4))
            self._wake.clear()
            if self._stop.is_set():
                return
            try:
                self.tick()
            except DatabaseDown:
                log.warning("leases not renewed: the database did not answer")
            except Exception:
                log.exception("leases not renewed")
