"""Connections to Postgres: when they are asked whether they still answer, and what a server that ended them costs."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError

from factory import db as connections
from factory.db import Compiled, Database
from factory.errors import DatabaseDown

ONE = Compiled.of(text("SELECT 1 AS one"))
END_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture
def pings(db: Database, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """One for each time that a connection is asked."""
    asked: list[bool] = []
    ping = db.engine.dialect.do_ping

    def count(connection: object) -> bool:
        asked.append(True)
        return bool(ping(connection))  # type: ignore[arg-type]

    monkeypatch.setattr(db.engine.dialect, "do_ping", count)
    return asked


def test_a_connection_in_use_is_not_asked_again(db: Database, pings: list[bool]) -> None:
    for _ in range(5):
        db.check()
        db.run_alone(ONE, {})
    assert pings == []


def test_one_that_stood_idle_is_asked_and_replaced_unseen(
    db: Database, sql: psycopg.Connection, pings: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "FRESH_SECONDS", 0.0)
    db.check()
    sql.execute(END_OTHERS)
    db.check()
    assert pings
    sql.execute(END_OTHERS)
    assert db.run_alone(ONE, {}) == [(1,)]


def test_one_that_was_just_used_fails_once(db: Database, sql: psycopg.Connection) -> None:
    db.check()
    sql.execute(END_OTHERS)
    with pytest.raises(DatabaseDown):
        db.run_alone(ONE, {})
    assert db.run_alone(ONE, {}) == [(1,)]
    sql.execute(END_OTHERS)
    with pytest.raises(DatabaseDown):
        db.check()
    db.check()


def test_a_statement_alone_is_committed_and_leaves_transactions_as_they_are(db: Database, sql: psycopg.Connection) -> None:
    make = Compiled.of(text("INSERT INTO tenants (id, created_at) VALUES ('alone', now()) RETURNING id"))
    assert db.run_alone(make, {}) == [("alone",)]
    with pytest.raises(DataError), db.transaction() as session:
        session.execute(
            text(
                "WITH done AS (INSERT INTO tenants (id, created_at) VALUES ('undone', now()) RETURNING 0 AS nought) SELECT 1 / nought FROM done"
            )
        )
    assert sql.execute("SELECT id FROM tenants WHERE id IN ('alone', 'undone')").fetchall() == [("alone",)]
    assert db.run_alone(Compiled.of(text("SELECT id FROM tenants WHERE id = 'undone'")), {}) == []
