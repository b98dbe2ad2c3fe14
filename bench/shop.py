"""Shop: who orders in a benchmark with several checkpoints, on the factory's own verbs."""

import uuid

from sqlalchemy import text

from bench.ground import Ground
from bench.order import OPERATOR
from factory.db import Database
from factory.domain.caller import Caller
from factory.domain.job_order import JobOrder
from factory.domain.tenant import Tenant
from factory.jobs.admit import Admission, Limits, admit
from factory.jobs.batch_order import BatchOrder
from factory.jobs.checkpoints import list_checkpoints, register_checkpoint
from factory.jobs.migrate import migrate
from factory.jobs.prepare_batch import ParsedRow, prepare_batch
from factory.jobs.submit_batch import submit_batch
from factory.jobs.submit_job import submit_job
from factory.postprocess.prompt_rules import Decision
from factory.workers.checkpoints import manifest_sha256
from factory.workers.engines.simulated import write_checkpoint

WEIGHT, SIDE = 64 * 1024 * 1024, 256
COUNTS = text(
    "SELECT count(*) FILTER (WHERE status = 'succeeded'), (SELECT count(*) FROM assets), (SELECT count(DISTINCT job_id) FROM generations) FROM jobs"
)
WAITED = text("SELECT extract(epoch FROM finished_at - created_at) FROM jobs WHERE id = ANY(:ids) AND status = 'succeeded'")


class Shop:
    """Who orders, on the factory's own verbs."""

    def __init__(self, on: Ground, checkpoints: list[str], *, load_seconds: float) -> None:
        migrate(on.postgres.url)
        self.db, self._checkpoints = Database(on.postgres.app_url), checkpoints
        for name in checkpoints:
            folder = write_checkpoint(on.folder / "checkpoints" / name, weight=WEIGHT, load_seconds=load_seconds)
            register_checkpoint(
                self.db, name=name, engine="simulated", sha256=manifest_sha256(folder), size=WEIGHT, native_side=SIDE, actor=OPERATOR
            )
        with self.db.transaction() as session:
            session.add_all(Tenant(id=name, created_at=self.db.now()) for name in ("marketing", "design"))
        self._admission = Admission(Limits(), list_checkpoints(self.db), lambda _: Decision("bench"))

    def order_batch(self, rows: int) -> None:
        """As many rows for each checkpoint, one order each."""
        for n, name in enumerate(self._checkpoints):
            orders = (JobOrder(prompt=f"一把水壶 kettle {row}", model=name, seed=row) for row in range(n, rows, len(self._checkpoints)))
            prepared = prepare_batch((ParsedRow(number, order) for number, order in enumerate(orders, 1)), self._admission)
            with self.db.transaction() as session:
                caller = Caller(tenant="marketing", name="bench")
                submit_batch(session, self.db.now(), caller, BatchOrder(project="bench"), prepared, request_sha256="bench")

    def order_one(self, checkpoint: str, seed: int) -> uuid.UUID:
        admitted = admit(JobOrder(prompt="一张海报 poster", model=checkpoint, seed=10**6 + seed), self._admission)
        with self.db.transaction() as session:
            return submit_job(session, self.db.now(), Caller(tenant="design", name="bench"), admitted)

    def counts(self) -> tuple[int, int, int]:
        """Jobs that succeeded, assets, records."""
        with self.db.transaction() as session:
            done, assets, records = session.execute(COUNTS).one()
        return int(done), int(assets), int(records)

    def waited(self, ids: list[uuid.UUID]) -> list[float]:
        with self.db.transaction() as session:
            return [float(seconds) for seconds in session.scalars(WAITED, {"ids": ids})]
