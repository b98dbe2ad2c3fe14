"""PictureEvents: every picture is a row in Flower, spoken in Celery's event protocol from a side thread, best effort.

uuid = job id, name `picture`, kwargs = SKU, batch and checkpoint, parent = the shift. Never a prompt: errors show their
code only. While the broker does not answer, events are dropped; the audit log is the record, Flower a window.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from queue import Empty, Full, Queue
from typing import Any

from celery import Celery
from kombu.connection import Connection

from factory.domain.claim import Claim
from factory.jobs.close_job import Finished
from factory.jobs.picture_journal import PictureJournal
from factory.tasks.ring import PUBLISHER_TRANSPORT

QUEUED_EVENTS = 1000
RECONNECT_SECONDS = 5.0
GATHER_SECONDS = 0.5  # a message costs as much CPU for one event as for twenty; nobody reloads a page sooner


class PictureEvents(PictureJournal):
    """Never raises, never blocks: a full queue drops the event."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._queue: Queue[tuple[str, dict[str, Any]] | None] = Queue(QUEUED_EVENTS)
        self._hostname, self._shift = "", ""
        self._started_at: dict[Claim, float] = {}
        self._thread: threading.Thread | None = None

    def shift(self, hostname: str, shift_id: str) -> None:
        """Say which worker and which shift the next pictures belong to."""
        self._hostname, self._shift = hostname, shift_id
        if self._thread is None:
            self._thread = threading.Thread(target=self._send_all, name="picture-events", daemon=True)
            self._thread.start()

    def started(self, claim: Claim) -> None:
        self._started_at[claim] = time.monotonic()
        shown = f"{{'sku': {claim.sku or ''!r}, 'batch': '{claim.batch_id or ''}', 'checkpoint': {claim.spec.checkpoint!r}}}"
        self._put(
            "task-received",
            claim,
            name="picture",
            args="()",
            kwargs=shown,
            root_id=self._shift,
            parent_id=self._shift,
            retries=claim.attempt - 1,
            eta=None,
            expires=None,
        )
        self._put("task-started", claim)

    def succeeded(self, claim: Claim, finished: Finished) -> None:
        result = f"'{finished.evaluations} evaluations, {finished.filename}'"
        self._put("task-succeeded", claim, result=result, runtime=self._runtime(claim))

    def failed(self, claim: Claim, fault: Exception, *, final: bool) -> None:
        code = getattr(fault, "code", type(fault).__name__)
        self._runtime(claim)
        self._put("task-failed" if final else "task-retried", claim, exception=code, traceback="")

    def dropped(self, claim: Claim) -> None:
        self._runtime(claim)
        self._put("task-revoked", claim, terminated=True, signum=None, expired=False)

    def close(self) -> None:
        if self._thread is not None:
            self._put_raw(None)
            self._thread.join(timeout=2)

    def _runtime(self, claim: Claim) -> float:
        return time.monotonic() - self._started_at.pop(claim, time.monotonic())

    def _put(self, kind: str, claim: Claim, **fields: Any) -> None:
        self._put_raw((kind, {"uuid": str(claim.job_id), "timestamp": time.time(), **fields}))

    def _put_raw(self, item: tuple[str, dict[str, Any]] | None) -> None:
        try:
            self._queue.put_nowait(item)
        except Full:
            return

    def _send_all(self) -> None:
        while True:
            try:
                if self._send_until_broken():
                    return
            except Exception:
                time.sleep(RECONNECT_SECONDS)

    def _send_until_broken(self) -> bool:
        """True when told to close; raises when the broker went away."""
        url = self._celery.conf.broker_url
        with (
            Connection(url, connect_timeout=1, transport_options=PUBLISHER_TRANSPORT) as connection,
            self._celery.events.Dispatcher(
                connection, hostname=self._hostname, buffer_while_offline=False, buffer_group={"task"}
            ) as dispatcher,
        ):
            while True:
                items = self._gather()
                for kind, fields in filter(None, items):
                    dispatcher.send(kind, **fields)
                dispatcher.flush()
                if None in items:
                    return True

    def _gather(self) -> list[tuple[str, dict[str, Any]] | None]:
        """What there is to tell, at least one item; an event that comes alone waits a moment for others. None: nothing comes any more."""
        items = [self._queue.get()]
        if items[0] is not None:
            time.sleep(GATHER_SECONDS)
        with suppress(Empty):
            while True:
                items.append(self._queue.get_nowait())
        return items
