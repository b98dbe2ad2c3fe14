"""One factory for the tests of a module: real servers, real workers, short leases."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import psycopg
import pytest

from factory.embedded.postgres import Postgres
from factory.embedded.valkey import Valkey
from factory.jobs.migrate import migrate
from tests.integration.jobs.books import books_at
from tests.integration.queue.plant import Plant

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def build_plant(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Plant]]:
    """Makes factories; `env` goes to all their processes."""
    made: list[Plant] = []
    servers: list[Valkey] = []

    def build(**env: str) -> Plant:
        folder = tmp_path_factory.mktemp("plant")
        name = f"queue_{next(numbers)}"
        with psycopg.connect(books_at(postgres, "postgres").owner_dsn, autocommit=True) as server:
            server.execute(f"CREATE DATABASE {name}")
        books = books_at(postgres, name)
        migrate(books.owner_url)
        servers.append(Valkey(folder / "valkey").start())
        made.append(Plant(folder, servers[-1], books, **env))
        return made[-1]

    yield build
    for plant in made:
        plant.close()
    for valkey in servers:
        valkey.stop()
