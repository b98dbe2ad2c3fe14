"""The log is written once: the application may not change it, and its owner is stopped too. Proved in SQL."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from factory.db import Database
from factory.domain.caller import Caller
from factory.jobs.close_job import close_job
from tests.integration.jobs.books import Books, everything, finished, submit, take

CHANGES = [
    "UPDATE audit_events SET actor = 'nobody'",
    "DELETE FROM audit_events",
    "TRUNCATE audit_events",
    "UPDATE generations SET prompt = 'something harmless'",
    "DELETE FROM generations",
    "TRUNCATE generations",
]
APP_ONLY = [
    "TRUNCATE jobs CASCADE",
    "DELETE FROM jobs",
    "DELETE FROM assets",
    "UPDATE assets SET sha256 = ''",
    "DROP TABLE audit_events",
    "INSERT INTO audit_events (id, at, tenant, actor_kind, actor, action, detail) OVERRIDING SYSTEM VALUE VALUES (1, now(), 't', 'k', 'a', 'x', '{}')",
    "ALTER TABLE audit_events DISABLE TRIGGER ALL",
    "SET session_replication_role = replica",
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
]


@pytest.fixture
def written(db: Database, caller: Caller) -> None:
    submit(db, caller)
    claim = take(db)
    close_job(db, claim, finished(claim))


@pytest.mark.parametrize("change", CHANGES + APP_ONLY)
def test_the_application_cannot_change_what_was_written(change: str, written: None, books: Books, sql: psycopg.Connection) -> None:
    before = everything(sql)
    with psycopg.connect(books.app_dsn, autocommit=True) as app, pytest.raises(InsufficientPrivilege):
        app.execute(change)
    assert everything(sql) == before


@pytest.mark.parametrize("change", [*CHANGES, "TRUNCATE jobs CASCADE"])
def test_the_owner_is_stopped_too(change: str, written: None, sql: psycopg.Connection) -> None:
    before = everything(sql)
    assert before["generations"]
    with pytest.raises(InsufficientPrivilege, match="append-only"):
        sql.execute(change)
    assert everything(sql) == before
