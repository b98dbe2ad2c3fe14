"""What the tests of the jobs table share: a clock, addresses of a database, orders, and plain SQL to look at the rows."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row
from sqlalchemy.engine import make_url

from factory.db import Database
from factory.domain.caller import Caller
from factory.domain.checkpoint import Checkpoint
from factory.domain.claim import Claim
from factory.domain.job_order import JobOrder
from factory.embedded.postgres import Postgres
from factory.jobs.admit import Admission, Admitted, Limits, admit
from factory.jobs.batch_order import BatchOrder
from factory.jobs.claim_job import claim_job
from factory.jobs.close_job import Finished
from factory.jobs.prepare_batch import ParsedRow, PreparedBatch, prepare_batch
from factory.jobs.raise_marks import raise_marks
from factory.jobs.submit_batch import submit_batch
from factory.jobs.submit_job import submit_job
from factory.postprocess.prompt_rules import Decision, Hit
from tests.integration.telling import settle as wait_for_older_transactions

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEASE = timedelta(seconds=60)
SHA = hashlib.sha256(b"").hexdigest()


class Clock:
    """The time, as an injected callable: it stands still until a test moves it."""

    def __init__(self, moment: datetime = NOON) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Books:
    """One database: SQLAlchemy's URLs of both roles, and what psycopg takes."""

    owner_url: str
    app_url: str

    @property
    def owner_dsn(self) -> str:
        return self.owner_url.replace("+psycopg", "")

    @property
    def app_dsn(self) -> str:
        return self.app_url.replace("+psycopg", "")


def books_at(server: Postgres, database: str) -> Books:
    owner, app = (make_url(url).set(database=database).render_as_string(hide_password=False) for url in (server.url, server.app_url))
    return Books(owner, app)


def make_tenant(sql: psycopg.Connection, tenant: str) -> None:
    sql.execute("INSERT INTO tenants (id, created_at) VALUES (%s, %s)", (tenant, NOON))


def register(sql: psycopg.Connection, *names: str) -> None:
    """Checkpoints that upkeep and claims find in the table."""
    for name in names:
        row = checkpoint(name)
        sql.execute(
            "INSERT INTO checkpoints (name, engine, sha256, bytes, native_side, registered_at) VALUES (%s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (row.name, row.engine, row.sha256, row.bytes, row.native_side, NOON),
        )


def allow(sql: psycopg.Connection, tenant: str, member: str = "", **allowance: Any) -> None:
    """A weight or caps, as an operator would set them."""
    values = {"weight": 1.0, "max_running": None, "max_queued": None, **allowance}
    sql.execute(
        "INSERT INTO allowances (tenant, member, weight, max_running, max_queued) VALUES (%s, %s, %s, %s, %s)",
        (tenant, member, values["weight"], values["max_running"], values["max_queued"]),
    )


def settle(db: Database, **how: bool) -> None:
    """Marks rise, are stamped, and settle. Each step waits until older transactions have ended, a server's own too: hold none open."""
    for _ in range(3):
        assert raise_marks(db, **how)
        wait_for_older_transactions(db)


def checkpoint(name: str) -> Checkpoint:
    return Checkpoint(name=name, engine="simulated", sha256=hashlib.sha256(name.encode()).hexdigest(), bytes=1, native_side=512)


def refuse_forbidden(prompt: str) -> Decision:
    at = prompt.find("forbidden")
    hit = Hit("r1", "test", "block", (at, at + 9), "forbidden", "leave it out")
    return Decision("test-1", (hit,) if at >= 0 else ())


ADMISSION = Admission(Limits(), {name: checkpoint(name) for name in ("default", "other", "third", "fourth")}, refuse_forbidden)


def admitted(**order: Any) -> Admitted:
    return admit(JobOrder(**{"prompt": "一把红色的水壶", "seed": 7, **order}), ADMISSION)


def submit(db: Database, caller: Caller, **order: Any) -> uuid.UUID:
    with db.transaction() as session:
        return submit_job(session, db.now(), caller, admitted(**order))


def prepared(rows: Iterable[dict[str, Any]]) -> PreparedBatch:
    orders = (JobOrder(**{"prompt": "a kettle", **row}) for row in rows)
    return prepare_batch((ParsedRow(number, order) for number, order in enumerate(orders, 1)), ADMISSION)


def submit_rows(db: Database, caller: Caller, rows: Iterable[dict[str, Any]], **order: Any) -> uuid.UUID:
    batch = BatchOrder(**{"project": "spring", **order})
    with db.transaction() as session:
        return submit_batch(session, db.now(), caller, batch, prepared(rows), request_sha256=SHA)


def take(db: Database, worker: str = "w1", **how: Any) -> Claim:
    """A claim that must succeed."""
    claim = claim_job(db, worker=worker, **{"lease": LEASE, **how})
    assert claim is not None
    return claim


def finished(claim: Claim) -> Finished:
    key = f"{claim.tenant}/{claim.job_id}.a{claim.attempt}.png"
    return Finished(
        key=key,
        filename=f"{claim.project}_{claim.seq:06d}.png",
        media_type="image/png",
        size=3,
        sha256=hashlib.sha256(key.encode()).hexdigest(),
        width=claim.spec.width,
        height=claim.spec.height,
        evaluations=8,
        facts={"engine": "simulated"},
        seconds={"denoise": 0.1},
        policy_version="test-1",
    )


def job_row(sql: psycopg.Connection, job_id: uuid.UUID) -> dict[str, Any]:
    row = sql.cursor(row_factory=dict_row).execute("SELECT * FROM jobs WHERE id = %s", (job_id,)).fetchone()
    assert row is not None
    return row


def chain(sql: psycopg.Connection, job_id: uuid.UUID) -> list[tuple[str, str | None, str | None, int]]:
    """The job's events, in order: action, was, became, attempt."""
    return sql.execute("SELECT action, was, became, attempt FROM audit_events WHERE job_id = %s ORDER BY id", (job_id,)).fetchall()


def count(sql: psycopg.Connection, table: str) -> int:
    row = sql.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row is not None
    return int(row[0])


def everything(sql: psycopg.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the tables that a worker writes, to prove that a refused write left nothing."""
    return {name: sql.execute(f"SELECT * FROM {name} ORDER BY id").fetchall() for name in ("jobs", "assets", "generations", "audit_events")}
