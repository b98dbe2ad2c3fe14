"""GpuWorker: claim, draw, hand over, until there is no work or the time is up. The heart of a GPU process."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from factory import metrics
from factory.domain.claim import Claim
from factory.domain.status import Phase
from factory.errors import DatabaseDown, FactoryError
from factory.jobs.checkpoints import list_checkpoints
from factory.jobs.claims_ahead import ClaimsAhead
from factory.jobs.end_attempt import release_job
from factory.jobs.finishing_line import FinishingLine, Stations
from factory.jobs.worker_presence import Heartbeat, Sign
from factory.jobs.worker_run import WorkerRun
from factory.logs import get_logger
from factory.workers.gpu import Gpu

log = get_logger(__name__)


@dataclass
class ShiftSummary:
    """What a shift did. `swaps` counts changes of checkpoint; `more` says that work may be left."""

    pictures: int = 0
    failures: int = 0
    swaps: int = 0
    checkpoint: str = ""
    more: bool = False
    busy_seconds: float = field(default=0.0)


class GpuWorker:
    """One GPU process: while picture n denoises, n+1 is claimed and n−1 is finished. No transaction is open meanwhile.

    `is_offpeak` says whether jobs that wait for cheap hours may be drawn now.
    """

    def __init__(
        self,
        gpu: Gpu,
        stations: Stations,
        *,
        name: str,
        lease: timedelta,
        threads: int = 2,
        is_offpeak: Callable[[], bool] = lambda: False,
    ) -> None:
        self.gpu, self.name = gpu, name
        self._stations = stations
        self._run = WorkerRun(is_offpeak)
        self._line = FinishingLine(stations, threads=threads)
        self._next = ClaimsAhead(gpu, stations.db, stations.keeper, self._run, name=name, lease=lease)
        self._heartbeat = Heartbeat(stations.db, name, self._sign, silent=lease)

    def run_shift(self, seconds: float, *, should_stop: Callable[[], bool] = lambda: False) -> ShiftSummary:
        """Draw pictures one after the other. Ends when nothing can be claimed, after `seconds`, or when told to stop."""
        summary = ShiftSummary()
        ends = time.monotonic() + seconds
        with closing(self._claims(lambda: time.monotonic() < ends and not should_stop(), should_stop, summary)) as claims:
            for claim in claims:
                with structlog.contextvars.bound_contextvars(job_id=str(claim.job_id), batch_id=str(claim.batch_id), attempt=claim.attempt):
                    self._draw(claim, summary)
        return summary

    def warm_up(self) -> None:
        """Draw one real picture of the first checkpoint that this worker can draw. Raises what the last one raised when none can be."""
        fault: FactoryError | None = None
        for checkpoint in list_checkpoints(self._stations.db).values():
            try:
                self.gpu.warm_up(checkpoint.name, checkpoint.sha256, engine=checkpoint.engine, side=checkpoint.native_side)
                return
            except FactoryError as this:
                fault = this
        if fault is not None:
            raise fault

    def drain(self, seconds: float) -> bool:
        """Wait for pictures still being finished; False when some are left."""
        return self._line.drain(seconds)

    def close(self, seconds: float = 20) -> None:
        """Finish what is drawn, give back what is not, stop the threads."""
        self.drain(seconds)
        self._line.close()
        for claim in self._stations.keeper.held:
            self._stations.journal.dropped(claim)
            self._give_back(claim)
        self._stations.keeper.close()
        self._heartbeat.close()
        self._next.close()

    def _sign(self) -> Sign:
        return Sign(self.gpu.resident(), self._run.lora_key, self._run.since_swap)

    def _claims(self, go_on: Callable[[], bool], should_stop: Callable[[], bool], summary: ShiftSummary) -> Generator[Claim]:
        """Claims, each taken while the one before is being drawn. At the end of the shift nothing is left claimed."""
        try:
            claim = self._claim_at_a_place(go_on)
            while claim is not None:
                if should_stop():
                    self._give_back(claim)
                    break
                if go_on() and self._line.has_place():
                    self._next.look(claim)
                yield claim
                # Work may have arrived since the look ahead.
                claim = self._next.take(may_claim=go_on() and self._line.has_place()) or self._claim_at_a_place(go_on)
        finally:
            for left in self._next.left():
                self._give_back(left)
        # Unless the last look found nothing, there may be more.
        summary.more = not go_on()

    def _claim_at_a_place(self, go_on: Callable[[], bool]) -> Claim | None:
        return self._next.claim() if self._line.wait_for_place(go_on) else None

    def _give_back(self, claim: Claim) -> None:
        try:
            release_job(self._stations.db, claim)
        except DatabaseDown:
            log.warning("job not given back: its lease runs out", job_id=str(claim.job_id))
        finally:
            self._stations.keeper.drop(claim)

    def _draw(self, claim: Claim, summary: ShiftSummary) -> None:
        """The chain's rules are asked first: they may have changed since the order."""
        keeper = self._stations.keeper
        started = time.perf_counter()
        try:
            keeper.require(claim)
            keeper.hold(claim, Phase.GENERATING if claim.spec.checkpoint in self.gpu.resident() else Phase.LOADING)
            self._stations.journal.started(claim)
            self._stations.chain.check(claim.spec)

            def on_step(done: int, _total: int) -> None:
                keeper.require(claim)
                if done == 1:
                    keeper.hold(claim, Phase.GENERATING)

            picture = self.gpu.generate(claim.spec, on_step)
        except Exception as fault:
            summary.failures += 1
            self._line.fail(claim, fault)
            return
        except BaseException:
            # This process is being ended. A claim that is kept would be renewed for as long as it lives.
            self._give_back(claim)
            raise
        self._run.drew(picture.seconds)
        busy = time.perf_counter() - started
        summary.swaps += summary.checkpoint not in ("", claim.spec.checkpoint)
        summary.pictures, summary.checkpoint = summary.pictures + 1, claim.spec.checkpoint
        summary.busy_seconds = round(summary.busy_seconds + busy, 3)
        metrics.gpu_seconds_total.labels("busy").inc(busy)
        self._line.hand_over(claim, picture)
