"""deliver_webhooks: what is due is sent, no transaction open meanwhile, and what came of it is written down."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from factory.db import Database
from factory.errors import DatabaseDown, FactoryError
from factory.jobs.compose_message import Mailroom, compose_message
from factory.jobs.end_delivery import end_delivery
from factory.jobs.take_deliveries import Taken, take_deliveries
from factory.logs import get_logger
from factory.notify import open_notifier
from factory.notify.message import Outcome

log = get_logger(__name__)
THREADS = 8


@dataclass(frozen=True)
class Delivered:
    """How many attempts were made, and how many of them were taken by the receiver."""

    attempts: int
    delivered: int


def deliver_webhooks(db: Database, mailroom: Mailroom, *, seconds: float = 10.0, threads: int = THREADS) -> Delivered:
    """Until nothing is due; none is begun after `seconds`. Safe to run several times at once."""
    end, attempts, delivered = time.monotonic() + seconds, 0, 0
    with ThreadPoolExecutor(threads, thread_name_prefix="webhooks") as pool:
        while time.monotonic() < end:
            # No more than there are threads: what is taken is begun at once, so no lease ends while it waits for its turn.
            taken = take_deliveries(db, limit=threads)
            if not taken:
                break
            for one, outcome in zip(taken, pool.map(lambda each: send(db, mailroom, each), taken), strict=True):
                end_delivery(db, one, outcome)
                attempts += 1
                delivered += outcome.delivered
    return Delivered(attempts, delivered)


def send(db: Database, mailroom: Mailroom, taken: Taken) -> Outcome:
    """One attempt. Whatever goes wrong is an outcome: the next rung of the ladder is its remedy."""
    try:
        notifier = open_notifier(taken.notifier)
        message = compose_message(db, mailroom, taken, notifier.wants)
        request = notifier.request(message, url=taken.url, secrets=taken.secrets, at=taken.now)
        return notifier.read(mailroom.courier.post(request.url, content=request.content, headers=request.headers))
    except DatabaseDown:
        raise  # nothing could be written down either; the lease ends by itself
    except FactoryError as fault:
        return Outcome(False, fault.code, str(fault)[:200])
    except Exception as fault:
        log.exception("webhook not sent", delivery=str(taken.id), endpoint=str(taken.endpoint_id))
        return Outcome(False, "internal_error", type(fault).__name__)
