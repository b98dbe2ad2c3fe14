"""Random programs of orders, workers and crashes: after every step the jobs table is right (machine.py says what right means)."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from tests.integration.jobs.books import Books, Clock
from tests.integration.jobs.machine import JobsMachine, MortalDatabase, run

QUICK = settings(
    max_examples=50, stateful_step_count=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
LONG = settings(QUICK, max_examples=1500, stateful_step_count=60, derandomize=False, print_blob=True)


@pytest.fixture
def mortal(books: Books, clock: Clock) -> Iterator[MortalDatabase]:
    database = MortalDatabase(books.app_url, clock=clock)
    yield database
    database.close()


@pytest.mark.timeout(600)
def test_every_short_program_leaves_the_jobs_table_right(mortal: MortalDatabase, sql: psycopg.Connection) -> None:
    run(JobsMachine, mortal, sql, QUICK)


@pytest.mark.drill
@pytest.mark.timeout(1800)
def test_every_long_program_leaves_the_jobs_table_right(mortal: MortalDatabase, sql: psycopg.Connection) -> None:
    run(JobsMachine, mortal, sql, LONG)
