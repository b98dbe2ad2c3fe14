"""The Celery app, and why each option stands as it does. Figures: measured with Celery 5.7 and Redis 7."""

from __future__ import annotations

import logging
import socket
from typing import Any

from celery import Celery, signals
from kombu.entity import Queue

from factory import logs
from factory.settings import Settings, load_settings
from factory.tasks import safe_qos

GPU_QUEUE, CPU_QUEUE = "gpu", "cpu"
UPKEEP_SECONDS, LEARN_SECONDS, HOUR = 5.0, 60.0, 3600.0


def make_app(settings: Settings) -> Celery:
    """Build the app; nothing is connected yet."""
    safe_qos.install()
    app = Celery("factory", include=["factory.tasks.gpu", "factory.tasks.orders", "factory.tasks.upkeep", "factory.tasks.webhooks"])
    app.conf.update(
        broker_url=settings.redis_url.get_secret_value(),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # the default gives up after 100 tries
        broker_transport_options=worker_transport(settings),
        result_backend=None,
        task_ignore_result=True,  # rows in Postgres are the results
        task_serializer="json",
        accept_content=["json"],
        event_serializer="json",
        task_queues=[Queue(GPU_QUEUE), Queue(CPU_QUEUE)],
        task_default_queue=CPU_QUEUE,
        task_create_missing_queues=False,  # a typo in a queue name fails loudly
        task_routes={"factory.generate": {"queue": GPU_QUEUE}, "factory.*.*": {"queue": CPU_QUEUE}},
        task_acks_late=True,
        task_reject_on_worker_lost=True,  # acks_late alone acknowledges what a dead child was doing
        task_time_limit=settings.shift_seconds + 600,  # a hung driver call: the child is replaced
        worker_prefetch_multiplier=1,
        worker_pool="prefork",
        worker_pool_start_method="spawn",  # a forked child cannot use CUDA
        worker_proc_alive_timeout=300,  # loading a checkpoint in the child takes longer than the default 4 s
        worker_cancel_long_running_tasks_on_connection_loss=False,  # True drops the picture and the warm pipeline on each blip
        worker_send_task_events=True,
        worker_hijack_root_logger=False,
        worker_enable_remote_control=True,
        beat_schedule=_schedule(settings),
        timezone="UTC",
    )
    return app


def worker_transport(settings: Settings) -> dict[str, Any]:
    """What consuming connections use: patient, but never blocked for ever on a dead peer."""
    keepalive = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}
    return {
        # Longer than any shift: a shorter one runs the same message twice. Leases in the table are the real clock.
        "visibility_timeout": settings.shift_seconds + 900,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": 5,
        "socket_timeout": 30,
        "retry_on_timeout": True,
        "socket_keepalive": True,
        "socket_keepalive_options": {getattr(socket, name): value for name, value in keepalive.items() if hasattr(socket, name)},
        "health_check_interval": 15,
        "client_name": "factory",
    }


def _schedule(settings: Settings) -> dict[str, Any]:
    # A beat that could not publish for a while must not flood the queue afterwards: old reminders expire.
    return {
        "upkeep": {"task": "factory.upkeep.tick", "schedule": UPKEEP_SECONDS, "options": {"expires": UPKEEP_SECONDS * 2}},
        "learn": {"task": "factory.upkeep.learn", "schedule": LEARN_SECONDS, "options": {"expires": LEARN_SECONDS}},
        "orders": {"task": "factory.orders.read", "schedule": UPKEEP_SECONDS, "options": {"expires": UPKEEP_SECONDS}},
        "webhooks": {"task": "factory.webhooks.tick", "schedule": UPKEEP_SECONDS, "options": {"expires": UPKEEP_SECONDS}},
        "forget_deliveries": {"task": "factory.webhooks.forget", "schedule": HOUR, "options": {"expires": HOUR}},
        "sweep": {"task": "factory.upkeep.sweep", "schedule": settings.sweep_seconds, "options": {"expires": settings.sweep_seconds}},
    }


@signals.setup_logging.connect
def _log_as_we_do(**_: Any) -> None:
    settings = load_settings()
    logs.configure(settings.log_format, settings.log_level)
    # Two lines for each shift, also for the ones that find nothing, would bury the rest.
    for chatty in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


app = make_app(load_settings())
