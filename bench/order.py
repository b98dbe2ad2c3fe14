"""Orders of simulated 1024² pictures on a benchmark's ground."""

import uuid
from dataclasses import dataclass

from celery import Celery
from sqlalchemy import text

from bench.ground import BUCKET, Ground
from factory.db import Database
from factory.domain.api_key import Scope
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.domain.job_order import JobOrder
from factory.jobs.admit import Admission, Limits
from factory.jobs.batch_order import BatchOrder
from factory.jobs.checkpoints import list_checkpoints, register_checkpoint
from factory.jobs.keys import create_key, recognise
from factory.jobs.migrate import migrate
from factory.jobs.prepare_batch import ParsedRow, prepare_batch
from factory.jobs.submit_batch import submit_batch
from factory.postprocess.prompt_rules import Decision
from factory.workers.checkpoints import manifest_sha256
from factory.workers.engines.simulated import write_checkpoint

OPERATOR = Actor("operator", "bench")
NAME = "simulated"
SPAN = text(
    "SELECT count(*) FILTER (WHERE status = 'succeeded'), coalesce(extract(epoch FROM max(finished_at) - min(started_at)), 0)"
    " FROM jobs WHERE batch_id = :batch"
)
AGREE = text(
    "SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM assets), (SELECT count(DISTINCT job_id) FROM generations),"
    " (SELECT count(*) FROM jobs WHERE status = 'succeeded')"
)


@dataclass
class Order:
    on: Ground
    db: Database
    caller: Caller
    admission: Admission

    def span(self, batch: uuid.UUID) -> tuple[int, float]:
        """Succeeded jobs, and seconds from the first claim to the last commit."""
        with self.db.transaction() as session:
            done, seconds = session.execute(SPAN, {"batch": batch}).one()
        return int(done), float(seconds)

    def agrees(self) -> bool:
        """Every job succeeded, with one asset, one record and one object."""
        with self.db.transaction() as session:
            jobs, assets, records, succeeded = session.execute(AGREE).one()
        objects = sum(1 for path in (self.on.s3.objects / BUCKET).rglob("*.png") if path.parts[-3] == self.caller.tenant)
        return bool(jobs == assets == records == succeeded == objects)


def prepare(on: Ground) -> Order:
    """Schema, tenant and checkpoint."""
    migrate(on.postgres.url)
    db = Database(on.postgres.app_url)
    folder = write_checkpoint(on.folder / "checkpoints" / NAME)
    register_checkpoint(db, name=NAME, engine="simulated", sha256=manifest_sha256(folder), size=1, native_side=1024, actor=OPERATOR)
    _, secret = create_key(db, tenant="shop", name="bench", scopes=list(Scope), actor=OPERATOR)
    return Order(on, db, recognise(db, secret), Admission(Limits(), list_checkpoints(db), lambda _: Decision("bench")))


def place_order(order: Order, count: int) -> uuid.UUID:
    """`count` jobs in one batch, and a ring as the API would give it."""
    rows = (
        ParsedRow(number, JobOrder(prompt=f"白色背景上的保温杯 {number}", sku=f"SKU-{number}", model=NAME))
        for number in range(1, count + 1)
    )
    prepared = prepare_batch(rows, order.admission)
    with order.db.transaction() as session:
        batch = submit_batch(session, order.db.now(), order.caller, BatchOrder(project="bench"), prepared, request_sha256="bench")
    with Celery(broker=order.on.valkey.url) as app:
        app.send_task("factory.generate", queue="gpu", ignore_result=True)
    return batch
