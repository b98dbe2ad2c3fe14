"""deliver_webhooks: what is due is sent, no transaction open meanwhile, and what came of it is written down."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from factory.db import Database
from factory.errors import DatabaseDown, FactoryError
from factory.jobs.compose_message import Mailroom, compose_message
from factory.jobs.end_delivery import end_delivery
from factory.jobs.take_deliveries import OF_EACH, Taken, take_deliveries
from factory.logs import get_logger
from factory.notify import open_notifier
from factory.notify.message import Outcome

log = get_logger(__name__)
THREADS = 8
LOOK_SECONDS = 1.0  # while slow receivers are waited for, others may come due


@dataclass(frozen=True)
class Delivered:
    """How many attempts were made, and how many of them were taken by the receiver."""

    attempts: int
    delivered: int


def deliver_webhooks(db: Database, mailroom: Mailroom, *, seconds: float = 10.0, threads: int = THREADS) -> Delivered:
    """Until nothing is due; none is begun after `seconds`. Safe to run several times at once.

    A thread that becomes free takes the next: one slow receiver holds up itself alone, with OF_EACH threads or one more.
    """
    end, attempts, delivered = time.monotonic() + seconds, 0, 0
    under_way: dict[Future[Outcome], Taken] = {}
    with ThreadPoolExecutor(threads, thread_name_prefix="webhooks") as pool:
        while True:
            # No more than there are free threads: what is taken is begun at once, so no lease ends while it waits for its turn.
            free = threads - len(under_way) if time.monotonic() < end else 0
            for one in take_deliveries(db, limit=free, busy=_busy(under_way.values())) if free else ():
                under_way[pool.submit(send, db, mailroom, one)] = one
            if not under_way:
                return Delivered(attempts, delivered)
            for ended in wait(under_way, LOOK_SECONDS, FIRST_COMPLETED).done:
                outcome = ended.result()
                end_delivery(db, under_way.pop(ended), outcome)
                attempts += 1
                delivered += outcome.delivered


def _busy(under_way: Iterable[Taken]) -> list[uuid.UUID]:
    """Endpoints that have their share of the threads."""
    return [endpoint for endpoint, threads in Counter(one.endpoint_id for one in under_way).items() if threads >= OF_EACH]


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
