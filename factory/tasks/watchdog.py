"""A worker that no longer consumes while work waits notices, and exits, so that its supervisor starts a fresh one.

`inspect ping` does not see this state: such a worker answers, heartbeats, and takes nothing.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from celery import signals
from celery.worker import state
from redis import Redis
from redis.exceptions import RedisError

from factory.logs import get_logger
from factory.settings import load_settings
from factory.tasks.celery_app import CPU_QUEUE, GPU_QUEUE
from factory.tasks.gpu_process import ROLE_VARIABLE

log = get_logger(__name__)
LOOK_SECONDS = 5.0
GRACE_SECONDS = 15.0
EXIT_CODE = 70  # EX_SOFTWARE: supervisors that restart on failure only must see one


class Watchdog:
    """`queue` is the list in Redis that this worker should be eating from; `patience` is seconds.

    They are counted in looks: while the machine sleeps, or this process is stopped, nobody looks.
    """

    def __init__(self, redis: Redis, queue: str, patience: float) -> None:
        self._redis, self._queue = redis, queue
        self._pause = min(LOOK_SECONDS, patience / 3)
        self._looks = round(patience / self._pause)
        self._bad_looks = 0

    def looks_wedged(self) -> bool:
        """One look. True when at each of the last ones messages waited while nothing was received or running here."""
        busy = state.active_requests or state.reserved_requests or not self._waiting()
        self._bad_looks = 0 if busy else self._bad_looks + 1
        return self._bad_looks > self._looks

    def received(self, **_: Any) -> None:
        self._bad_looks = 0

    def watch(self) -> None:
        while not self.looks_wedged():
            time.sleep(self._pause)
        log.critical("worker consumes nothing while work waits; exiting", queue=self._queue)
        # The worker's own loop sees this, ends in order and exits with the code; one whose loop is stuck does not.
        state.should_stop = EXIT_CODE
        time.sleep(GRACE_SECONDS)
        os._exit(EXIT_CODE)

    def _waiting(self) -> bool:
        try:
            return bool(self._redis.llen(self._queue))
        except RedisError:
            return False


def keep_watch() -> None:
    """Watch this worker from the moment that it is ready."""
    signals.worker_ready.connect(_start)


def _start(**_: Any) -> None:
    settings = load_settings()
    queue = GPU_QUEUE if os.environ.get(ROLE_VARIABLE) == "gpu" else CPU_QUEUE
    redis = Redis.from_url(settings.redis_url.get_secret_value(), socket_timeout=2, socket_connect_timeout=2)
    watchdog = Watchdog(redis, queue, settings.watchdog_seconds)
    signals.task_received.connect(watchdog.received, weak=False)
    threading.Thread(target=watchdog.watch, name="watchdog", daemon=True).start()
