"""The rows of the jobs table and its log as they are, read with one plain statement, and what must hold of them always."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import psycopg

from factory.domain.status import TRANSITIONS, JobStatus

# One row for each status change and each job; assets and generations are counted, so that a double shows.
STATEMENT = """
SELECT j.id, j.status, j.attempt, j.worker, j.phase, j.lease_until, j.not_before, j.avoid_worker, j.failures, j.lost_leases, j.dead_lettered_at IS NOT NULL,
       j.finished_at, j.vft, j.turn, j.ready_at,
       ARRAY(SELECT a.attempt || ' ' || a.sha256 FROM assets a WHERE a.job_id = j.id),
       ARRAY(SELECT g.attempt || ' ' || g.asset_sha256 FROM generations g WHERE g.job_id = j.id),
       coalesce((SELECT jsonb_agg(jsonb_build_array(e.action, e.was, e.became, e.attempt) ORDER BY e.id)
                 FROM audit_events e WHERE e.job_id = j.id AND e.became IS NOT NULL), '[]')
FROM jobs j WHERE j.tenant = %s
"""


class Event(NamedTuple):
    action: str
    was: str | None
    became: str
    attempt: int


@dataclass(frozen=True)
class Row:
    """One job, with what hangs on it."""

    id: uuid.UUID
    status: str
    attempt: int
    worker: str | None
    phase: str | None
    lease_until: datetime | None
    not_before: datetime | None
    avoid_worker: str | None
    failures: int
    lost_leases: int
    dead: bool
    finished_at: datetime | None
    vft: float
    turn: float
    ready_at: datetime
    assets: list[str]
    generations: list[str]
    events: list[Event]


# What waits but stands before a mark would never be claimed.
LOST = """
SELECT j.id FROM jobs j JOIN queue_marks m ON m.lane = j.lane
WHERE j.status = 'queued' AND j.hold IS NULL
  AND ((m.tenant = '' AND m.checkpoint IN ('', j.checkpoint) AND j.vft < m.settled)
    OR (m.tenant = j.tenant AND m.checkpoint = j.checkpoint AND j.turn < m.settled))
"""


def check_marks(sql: psycopg.Connection) -> None:
    """Every waiting job is where claims look."""
    assert sql.execute(LOST).fetchall() == [], "a waiting job stands before a mark"


def read_rows(sql: psycopg.Connection, tenant: str) -> dict[uuid.UUID, Row]:
    found = sql.execute(STATEMENT, (tenant,)).fetchall()
    return {row[0]: Row(*(*row[:-1], [Event(*event) for event in row[-1]])) for row in found}


def check_invariants(rows: Iterable[Row]) -> None:
    for row in rows:
        check_results(row)
        check_log(row)
        assert (row.status == "running") == (row.lease_until is not None) == (row.worker is not None)
        assert (row.status in ("queued", "running")) == (row.finished_at is None), "a job ends once, and says when"


def check_results(row: Row) -> None:
    """Asset ⇔ succeeded ⇔ exactly one generation record, of the attempt that holds the job's last word."""
    assert len(row.assets) == len(row.generations) == int(row.status == "succeeded")
    assert row.assets == row.generations
    assert not row.assets or row.assets[0].startswith(f"{row.attempt} "), "an attempt that was over delivered the asset"


def check_log(row: Row) -> None:
    """From the order to the present status without a gap; every change allowed; each claim one attempt more, nothing from the past."""
    at, attempt, ended = None, 0, 0
    for event in row.events:
        assert event.was == at, f"{event.action} says the job was {event.was}, the line before says {at}"
        if event.was is not None:
            assert JobStatus(event.became) in TRANSITIONS[JobStatus(event.was)]
        assert event.attempt == attempt + (event.became == "running"), "an attempt may only rise, and only by a claim"
        ended += event.became not in ("queued", "running")
        ended -= event.action == "job.replayed"
        assert ended <= 1, "a job ends at most once"
        at, attempt = event.became, event.attempt
    assert (at, attempt) == (row.status, row.attempt), "the log does not end where the job stands"
