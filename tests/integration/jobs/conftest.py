"""A migrated database for each test, copied from a template, and a clock that only the test moves."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator

import psycopg
import pytest

from factory.db import Database
from factory.domain.caller import Caller
from factory.embedded.postgres import Postgres
from factory.jobs.migrate import migrate
from tests.integration.jobs.books import Books, Clock, books_at, make_tenant

TEMPLATE = "jobs_template"
numbers = itertools.count(1)


@pytest.fixture(scope="session")
def template(postgres: Postgres) -> str:
    """The name of a database with the newest schema and no rows."""
    with psycopg.connect(books_at(postgres, "postgres").owner_dsn, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {TEMPLATE}")
    migrate(books_at(postgres, TEMPLATE).owner_url)
    return TEMPLATE


@pytest.fixture
def books(postgres: Postgres, template: str) -> Iterator[Books]:
    """A database of this test's own."""
    name = f"jobs_{next(numbers)}"
    with psycopg.connect(books_at(postgres, "postgres").owner_dsn, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield books_at(postgres, name)
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sql(books: Books) -> Iterator[psycopg.Connection]:
    """The owner's own connection, for looking at the rows beside the code under test."""
    with psycopg.connect(books.owner_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def db(books: Books, clock: Clock) -> Iterator[Database]:
    """The application role's database, on the test's clock."""
    database = Database(books.app_url, clock=clock, pool_size=10)
    yield database
    database.close()


@pytest.fixture
def caller(sql: psycopg.Connection) -> Caller:
    tenant = f"t-{uuid.uuid4().hex[:12]}"
    make_tenant(sql, tenant)
    return Caller(tenant=tenant, name="fk_testkey")
