"""FinishingLine: threads that finish pictures behind the GPU: chain, storage, close. Its places are bounded, which is the back-pressure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, Queue

import structlog

from factory import metrics
from factory.db import Database
from factory.domain.claim import Claim
from factory.domain.draft import Picture
from factory.domain.status import JobStatus, Phase
from factory.errors import LeaseLost, StorageDown, Transient
from factory.jobs.deliver import close_when_possible, store
from factory.jobs.end_attempt import RetryRules, end_attempt
from factory.jobs.finish_picture import FinishedPicture, finish_picture
from factory.jobs.lease_keeper import LeaseKeeper
from factory.jobs.picture_journal import PictureJournal
from factory.jobs.waiting_room import WaitingRoom
from factory.logs import get_logger
from factory.postprocess.chain import Chain
from factory.storage import Storage

log = get_logger(__name__)
QUEUED_PICTURES = 4
STORAGE_RETRY_SECONDS = 0.5
PLACE_SECONDS = 0.02


@dataclass(frozen=True)
class Stations:
    """What a worker process works with."""

    db: Database
    chain: Chain
    policy_version: str
    storage: Storage
    keeper: LeaseKeeper
    waiting_room: WaitingRoom
    rules: RetryRules
    journal: PictureJournal


class FinishingLine:
    """Four pictures may wait beside those in work. Ask for a place before claiming, so that what is drawn never waits for one."""

    def __init__(self, stations: Stations, *, threads: int = 2) -> None:
        self._stations = stations
        self._queue: Queue[tuple[Claim, Picture]] = Queue()
        self._places = QUEUED_PICTURES + threads
        self._stop = threading.Event()
        workers: list[Callable[[], None]] = [self._finish_all] * threads + [self._deliver_spooled]
        self._threads = [threading.Thread(target=work, name=f"finishing-{n}", daemon=True) for n, work in enumerate(workers)]
        for thread in self._threads:
            thread.start()

    def hand_over(self, claim: Claim, picture: Picture) -> None:
        self._stations.keeper.hold(claim, Phase.FINISHING)
        self._queue.put((claim, picture))

    def has_place(self) -> bool:
        """May one more job be claimed? Up to two more pictures than places: the one being drawn and the one claimed ahead."""
        return self._queue.unfinished_tasks < self._places

    def wait_for_place(self, go_on: Callable[[], bool]) -> bool:
        """Wait while storage or database do not keep up; False when `go_on` says no."""
        while go_on():
            if self.has_place():
                return True
            time.sleep(PLACE_SECONDS)
        return False

    def drain(self, seconds: float) -> bool:
        """Wait until nothing is left to finish; False when that took longer than `seconds`."""
        ends = time.monotonic() + seconds
        while self._queue.unfinished_tasks or len(self._stations.waiting_room):
            if time.monotonic() > ends:
                return False
            time.sleep(0.01)
        return True

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def fail(self, claim: Claim, fault: Exception) -> None:
        """End this attempt as the branch of `fault` says. A lost lease is no failure: the job is somebody else's now."""
        stations = self._stations
        try:
            if isinstance(fault, LeaseLost):
                stations.journal.dropped(claim)
                return
            log.warning("attempt failed", code=getattr(fault, "code", type(fault).__name__), detail=str(fault)[:300])
            status = end_attempt(stations.db, claim, fault, stations.rules)
            metrics.pictures_total.labels(status.value, claim.spec.checkpoint).inc()
            stations.journal.failed(claim, fault, final=status is not JobStatus.QUEUED)
        except LeaseLost:
            stations.journal.dropped(claim)
        except Exception:
            # The lease runs out and upkeep returns the job: nothing is lost by giving up here.
            log.exception("the end of an attempt was not recorded")
        finally:
            stations.keeper.drop(claim)

    def _finish_all(self) -> None:
        while not self._stop.is_set():
            try:
                claim, picture = self._queue.get(timeout=0.2)
            except Empty:
                continue
            with structlog.contextvars.bound_contextvars(job_id=str(claim.job_id), batch_id=str(claim.batch_id), attempt=claim.attempt):
                try:
                    self._finish(claim, picture)
                except Exception as fault:
                    self.fail(claim, fault)
                finally:
                    self._queue.task_done()

    def _finish(self, claim: Claim, picture: Picture) -> None:
        finished = finish_picture(claim, picture, self._stations.chain, policy_version=self._stations.policy_version)
        while not self._stop.is_set():
            self._stations.keeper.require(claim)
            try:
                store(finished, self._stations.storage)
            except StorageDown:
                if self._stations.waiting_room.admit(finished):
                    return
                self._stop.wait(STORAGE_RETRY_SECONDS)
            else:
                self._close(finished)
                return

    def _close(self, finished: FinishedPicture) -> None:
        claim = finished.claim
        close_when_possible(self._stations.db, finished, lambda: self._stations.keeper.require(claim))
        self._stations.keeper.drop(claim)
        metrics.pictures_total.labels("succeeded", claim.spec.checkpoint).inc()
        self._stations.journal.succeeded(claim, finished.record)

    def _deliver_spooled(self) -> None:
        while not self._stop.wait(STORAGE_RETRY_SECONDS):
            try:
                for finished in self._stations.waiting_room.waiting():
                    if self._stop.is_set():
                        return
                    self._deliver(finished)
            except StorageDown:
                continue
            except Exception:
                log.exception("spooled pictures were not delivered; the next round tries again")

    def _deliver(self, finished: FinishedPicture) -> None:
        """Raises StorageDown while the storage, or the spool's disk, is away."""
        try:
            self._stations.keeper.require(finished.claim)
            if finished.content:
                store(finished, self._stations.storage)
                self._close(finished)
            else:
                self.fail(finished.claim, Transient("the spool lost this picture; it is drawn again"))
        except StorageDown:
            raise
        except Exception as fault:
            self.fail(finished.claim, fault)
        self._stations.waiting_room.leave(finished)
