"""A receiver that hangs takes its own threads, and nobody else's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.jobs.compose_message import Mailroom
from factory.jobs.deliver_webhooks import deliver_webhooks
from factory.jobs.webhook_endpoints import NewEndpoint, create_endpoint
from factory.notify.courier import READ, Courier
from tests.integration.jobs.books import count, submit_rows
from tests.integration.queue.plant import until
from tests.integration.telling import plan_all
from tests.receiver import HERE, running_receiver


def test_others_are_told_while_one_hangs(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    with running_receiver() as receiver, ThreadPoolExecutor(1) as pool:
        for path in ("slow", "ok"):
            with db.transaction() as session:
                order = NewEndpoint("standard", f"{receiver.url}/{path}", ("job.submitted",), None)
                create_endpoint(session, db.now(), tenant=caller.tenant, order=order, actor=Actor("key", "fk_testkey"), reach=HERE)
        submit_rows(db, caller, [{}] * 40)
        plan_all(db)
        telling = pool.submit(deliver_webhooks, db, Mailroom(Courier(HERE, deadline=90)), seconds=90)
        try:
            took = until(lambda: len(receiver.at("/ok")) == 40 and len(receiver.at("/slow")) >= 2, 60, "all others are told")
            assert len(receiver.at("/slow")) <= 3 * (1 + took // READ), "two or three at once, each left after a while"
        finally:
            receiver.closing.set()
        told = telling.result()
    assert told.delivered == 40
    assert count(sql, "webhook_deliveries WHERE ended_at IS NULL") == 40
