"""The schema: one head, up and down and up again, and exactly what the models say."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory

from factory.embedded.postgres import Postgres
from factory.jobs.migrate import migrate, migrations, newest_revision
from tests.integration.jobs.books import Books, books_at


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[Books]:
    with psycopg.connect(books_at(postgres, "postgres").owner_dsn, autocommit=True) as server:
        server.execute("CREATE DATABASE migrated")
        yield books_at(postgres, "migrated")
        server.execute("DROP DATABASE migrated WITH (FORCE)")


def tables(books: Books) -> set[str]:
    with psycopg.connect(books.owner_dsn) as connection:
        return {name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def test_there_is_one_head() -> None:
    assert ScriptDirectory.from_config(migrations()).get_heads() == [newest_revision()]


def test_up_down_and_up_again(empty: Books) -> None:
    migrate(empty.owner_url)
    full = tables(empty)
    migrate(empty.owner_url)
    command.downgrade(migrations(empty.owner_url), "base")
    assert tables(empty) == {"alembic_version"}
    migrate(empty.owner_url)
    assert tables(empty) == full > {"jobs", "audit_events", "generations", "assets"}


def test_the_models_are_what_the_migrations_made(empty: Books) -> None:
    migrate(empty.owner_url)
    command.check(migrations(empty.owner_url))
