"""plan_deliveries: whatever order transactions begin, write and commit in, each committed event is planned, and once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.jobs.plan_deliveries import Planned, plan_deliveries
from factory.jobs.webhook_endpoints import NewEndpoint, create_endpoint
from tests.integration.jobs.books import NOON, Books, Clock, submit
from tests.integration.telling import PUBLIC, plan_all, settle

WRITERS = 4


@pytest.fixture
def listening(db: Database, caller: Caller) -> None:
    """Somebody who wants to hear everything."""
    with db.transaction() as session:
        order = NewEndpoint("standard", "https://hooks.example.com/", ("*",))
        create_endpoint(session, db.now(), tenant=caller.tenant, order=order, actor=Actor("key", "fk_testkey"))


@pytest.fixture
def writers(books: Books) -> Iterator[list[psycopg.Connection]]:
    """Connections whose transactions a test begins and ends itself."""
    made = [psycopg.connect(books.app_dsn) for _ in range(WRITERS)]
    yield made
    for writer in made:
        writer.close()


def write(writer: psycopg.Connection, tenant: str) -> int:
    row = writer.execute(
        "INSERT INTO audit_events (at, tenant, actor_kind, actor, action, detail)"
        " VALUES (%s, %s, 'key', 'fk', 'batch.submitted', '{}') RETURNING id",
        (NOON, tenant),
    ).fetchone()
    assert row is not None
    return int(row[0])


def planned_events(sql: psycopg.Connection) -> list[int]:
    return [row[0] for row in sql.execute("SELECT event_id FROM webhook_deliveries ORDER BY event_id").fetchall()]


def plan(db: Database, **how: Any) -> Planned:
    return plan_deliveries(db, public_url=PUBLIC, **how)


@pytest.mark.usefixtures("listening")
def test_a_low_id_that_commits_late_is_not_skipped(
    db: Database, sql: psycopg.Connection, caller: Caller, writers: list[psycopg.Connection]
) -> None:
    early, late = writers[:2]
    settle(db)
    early.execute("SELECT pg_current_xact_id()")  # the older transaction
    late.execute("SELECT pg_current_xact_id()")
    low = write(late, caller.tenant)
    high = write(early, caller.tenant)
    early.commit()
    assert high > low
    plan(db)
    assert low not in planned_events(sql)
    late.commit()
    plan_all(db)
    assert planned_events(sql) == [low, high]


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_lost_or_doubled_however_transactions_interleave(
    db: Database, sql: psycopg.Connection, caller: Caller, writers: list[psycopg.Connection], seed: int
) -> None:
    chance = random.Random(seed)
    committed: set[int] = set()
    written: dict[int, list[int]] = {number: [] for number in range(WRITERS)}
    for _ in range(120):
        number = chance.randrange(WRITERS)
        step = chance.choices(("begin", "write", "commit", "roll back", "plan"), (2, 6, 3, 1, 3))[0]
        if step == "begin":
            writers[number].execute("SELECT pg_current_xact_id()")
        elif step == "write":
            written[number].append(write(writers[number], caller.tenant))
        elif step == "commit":
            writers[number].commit()
            committed |= set(written[number])
            written[number] = []
        elif step == "roll back":
            writers[number].rollback()
            written[number] = []
        else:
            plan(db, chunk=chance.choice((1, 2, 3, 1000)))
            assert set(planned_events(sql)) <= committed
    for number, writer in enumerate(writers):
        writer.commit()
        committed |= set(written[number])
    plan_all(db, chunk=chance.choice((1, 2, 1000)))
    assert planned_events(sql) == sorted(committed)


@pytest.mark.usefixtures("listening")
def test_one_planner_at_a_time(db: Database, sql: psycopg.Connection, caller: Caller, writers: list[psycopg.Connection]) -> None:
    submit(db, caller)
    settle(db)
    writers[0].execute("SELECT * FROM webhook_cursor FOR UPDATE")
    assert plan(db) == Planned(0, 0, more=False)
    writers[0].rollback()
    plan_all(db)
    assert len(planned_events(sql)) == 1


def test_without_listeners_the_cursor_goes_on_and_reads_nothing(db: Database, sql: psycopg.Connection, caller: Caller) -> None:
    submit(db, caller)
    settle(db)
    assert plan(db) == Planned(0, 0, more=False)
    cursor, newest = sql.execute("SELECT (SELECT tx FROM webhook_cursor), (SELECT max(tx) FROM audit_events)").fetchall()[0]
    assert cursor >= newest


@pytest.mark.usefixtures("listening")
def test_a_database_restored_into_a_younger_server_tells_no_old_news_and_nothing_twice(
    db: Database, sql: psycopg.Connection, clock: Clock, caller: Caller
) -> None:
    submit(db, caller)
    assert plan_all(db) == 1
    sql.execute("UPDATE webhook_cursor SET tx = 9000000000000000")
    submit(db, caller)
    plan_all(db)
    assert len(planned_events(sql)) == 2
    sql.execute("UPDATE webhook_cursor SET tx = 9000000000000000")
    clock.advance(8 * 86_400)
    submit(db, caller)
    sql.execute("DELETE FROM webhook_deliveries")
    plan_all(db)
    assert len(planned_events(sql)) == 1


@pytest.mark.usefixtures("listening")
def test_chunks_join_without_gap_or_double(db: Database, sql: psycopg.Connection, caller: Caller) -> None:
    for _ in range(7):
        submit(db, caller)
    assert plan_all(db, chunk=3) == 7
    assert plan_all(db, chunk=3) == 0
    assert len(planned_events(sql)) == 7
