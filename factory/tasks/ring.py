"""ring(): tell GPU workers that work waits. Never holds anybody up; a ring that is lost is repaired by upkeep.

wake_reader(): the same for orders that wait to be read."""

from __future__ import annotations

import threading

from celery import Celery
from kombu.connection import Connection

from factory import metrics
from factory.logs import get_logger
from factory.tasks.celery_app import CPU_QUEUE, GPU_QUEUE, app

log = get_logger(__name__)
# One message wakes one worker. More than this are not sent at once: upkeep tops up while work waits.
MOST_MESSAGES = 32
# A message that nobody took in this time is worth nothing: upkeep has sent others.
EXPIRES_SECONDS = 60
# kombu tries for ever unless told otherwise.
PUBLISHER_TRANSPORT = {"socket_connect_timeout": 1, "socket_timeout": 1, "max_retries": 0}


class Bell:
    """One thread that publishes. `ring` only leaves a note for it, so a frozen broker costs the caller nothing."""

    def __init__(self, celery: Celery, task: str, queue: str) -> None:
        self._celery, self._task, self._queue = celery, task, queue
        self._wanted = 0
        self._guard = threading.Lock()
        self._note = threading.Event()
        self._thread: threading.Thread | None = None

    def ring(self, wanted: int) -> None:
        with self._guard:
            self._wanted = min(MOST_MESSAGES, self._wanted + wanted)
            if self._thread is None:
                self._thread = threading.Thread(target=self._publish_all, name="bell", daemon=True)
                self._thread.start()
        self._note.set()

    def ring_now(self, wanted: int) -> bool:
        """Publish from this thread, one attempt; False when the broker did not take it."""
        try:
            with Connection(self._celery.conf.broker_url, connect_timeout=1, transport_options=PUBLISHER_TRANSPORT) as connection:
                waiting = int(connection.default_channel.client.llen(self._queue))
                for _ in range(min(wanted, MOST_MESSAGES) - waiting):
                    self._celery.send_task(self._task, connection=connection, expires=EXPIRES_SECONDS, retry=False)
        except Exception as fault:  # whatever kombu or redis-py raise, the table still has the work
            metrics.ring_failures_total.inc()
            log.warning("ring lost", fault=type(fault).__name__)
            return False
        return True

    def _publish_all(self) -> None:
        while True:
            self._note.wait()
            self._note.clear()
            with self._guard:
                wanted, self._wanted = self._wanted, 0
            if wanted:
                self.ring_now(wanted)


BELL = Bell(app, "factory.generate", GPU_QUEUE)
READERS_BELL = Bell(app, "factory.orders.read", CPU_QUEUE)


def ring(pictures: int = 1) -> None:
    """Leave a note; returns at once."""
    BELL.ring(pictures)


def wake_reader() -> None:
    """The same. Where other work waits before the readers no message is sent: beat's next one does."""
    READERS_BELL.ring(1)
