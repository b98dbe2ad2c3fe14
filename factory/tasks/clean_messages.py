"""Nothing that the broker says is taken as truth: of a message a worker keeps which of our tasks it names and until when it is wanted.

Arguments, time limits, ids, callbacks and the rest are made here, so that whoever can write to the broker can at most
make a worker look for work. What is no message of ours is dropped with a line in the log.
"""

from __future__ import annotations

import uuid
from collections.abc import Container
from datetime import UTC, datetime
from typing import Any

from celery import Celery
from celery.worker.control import Panel
from kombu.transport import redis as kombu_redis

from factory.logs import get_logger

log = get_logger(__name__)
redis_transport: Any = kombu_redis  # its attributes are replaced, which its types do not foresee
NO_ARGUMENTS = "W1tdLCB7fSwge31d"  # [[], {}, {}] in base64
# Flower is read-only and asks only; whoever stops a worker has a shell.
REFUSED_COMMANDS = (
    "add_consumer",
    "autoscale",
    "cancel_consumer",
    "election",
    "pool_grow",
    "pool_restart",
    "pool_shrink",
    "rate_limit",
    "revoke",
    "revoke_by_stamped_headers",
    "shutdown",
    "terminate",
    "time_limit",
)


def install(app: Celery, queues: Container[str]) -> None:
    """For worker processes: every message of `queues` is cleaned before Celery sees it, and remote control only tells."""
    app.loader.import_default_modules()
    known = {name for name in app.tasks if name.startswith("factory.")}
    deliver, loads = redis_transport.Transport._deliver, redis_transport.loads  # noqa: SLF001

    def deliver_clean(self: Any, message: Any, queue: str) -> None:
        fit = clean(message, queue, known) if queue in queues else message
        if fit is None:
            log.warning("message dropped: none of ours", queue=queue)
        else:
            deliver(self, fit, queue)

    def load_any(text: Any) -> Any:
        try:
            return loads(text)
        except Exception:
            return None

    redis_transport.Transport._deliver = deliver_clean  # noqa: SLF001
    redis_transport.loads = load_any
    for command in REFUSED_COMMANDS:
        Panel.data.pop(command, None)


def clean(message: Any, queue: str, known: Container[str]) -> dict[str, Any] | None:
    """The message as we would have sent it, under a new id; None when it names no task in `known`."""
    headers = message.get("headers") if isinstance(message, dict) else None
    task = headers.get("task") if isinstance(headers, dict) else None
    if not isinstance(headers, dict) or not isinstance(task, str) or task not in known:
        return None
    number = str(uuid.uuid4())
    return {
        "body": NO_ARGUMENTS,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": task,
            "id": number,
            "root_id": number,
            "parent_id": None,
            "argsrepr": "()",
            "kwargsrepr": "{}",
            "expires": _moment(headers.get("expires")),
        },
        "properties": {
            "delivery_tag": number,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "delivery_mode": 2,
            "body_encoding": "base64",
            "priority": 0,
        },
    }


def _moment(given: Any) -> str | None:
    try:
        # Celery takes offsets of whole minutes only.
        return datetime.fromisoformat(given).astimezone(UTC).isoformat()
    except (TypeError, ValueError, OverflowError):
        return None
