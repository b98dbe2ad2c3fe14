"""A whole factory behind one queue: its own Valkey and database, a folder as storage, worker processes that a test may hurt."""

from __future__ import annotations

import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg.rows import dict_row
from redis import Redis

from factory.bootstrap import build_admission, build_rules
from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.domain.job_order import JobOrder
from factory.embedded.guarded import Guarded
from factory.embedded.valkey import Valkey
from factory.jobs.admit import admit
from factory.jobs.batch_order import BatchOrder
from factory.jobs.checkpoints import register_checkpoint
from factory.jobs.prepare_batch import ParsedRow, prepare_batch
from factory.jobs.submit_batch import submit_batch
from factory.jobs.submit_job import submit_job
from factory.settings import Settings
from factory.workers.checkpoints import manifest_sha256
from factory.workers.engines.simulated import write_checkpoint
from tests.integration.jobs.books import SHA, Books, make_tenant

ROOT = Path(__file__).resolve().parents[3]
ACTOR = Actor("operator", "test")
TENANT = "acme"
SECRET_PROMPT = "一把只在测试里出现的水壶"


class Plant:
    """`env` is what every process of this factory sees; `hire` starts one."""

    def __init__(self, folder: Path, valkey: Valkey, books: Books, **env: str) -> None:
        self.folder, self.valkey, self.books = folder, valkey, books
        self.pictures = folder / "pictures"
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("FACTORY_", "PYTHONDONTWRITE"))},
            "OMP_NUM_THREADS": "1",
            "FACTORY_DATABASE_URL": books.app_url,
            "FACTORY_REDIS_URL": valkey.url,
            "FACTORY_STORAGE_URL": self.pictures.as_uri(),
            "FACTORY_LINK_SECRET": "x" * 32,
            "FACTORY_DATA_DIR": str(folder / "data"),
            "FACTORY_CHECKPOINTS_DIR": str(folder / "checkpoints"),
            "FACTORY_LEASE_SECONDS": "3",
            "FACTORY_SHIFT_SECONDS": "20",
            "FACTORY_SIMULATED_SECONDS": "0.1",
            "FACTORY_RETRY_BASE_SECONDS": "0.1",
            "FACTORY_VRAM_BYTES": str(1 << 30),
            **env,
        }
        self.db = Database(books.app_url, pool_size=3)
        self.sql = psycopg.connect(books.owner_dsn, autocommit=True, row_factory=dict_row)
        self.redis = Redis.from_url(valkey.url, socket_timeout=5)
        self.caller = Caller(tenant=TENANT, name="fk_test")
        self.hired: list[Guarded] = []
        self._register()
        self.admission = build_admission(self.settings, self.db, build_rules(self.settings))

    @property
    def settings(self) -> Settings:
        return Settings.model_validate(
            {name.removeprefix("FACTORY_").lower(): value for name, value in self.env.items() if name.startswith("FACTORY_")}
        )

    def _register(self) -> None:
        path = write_checkpoint(self.folder / "checkpoints" / "cards")
        sha256 = manifest_sha256(path)
        register_checkpoint(self.db, name="cards", engine="simulated", sha256=sha256, size=1, native_side=128, actor=ACTOR)
        with psycopg.connect(self.books.owner_dsn, autocommit=True) as plain:
            make_tenant(plain, TENANT)

    def hire(self, *role: str, name: str = "", **env: str) -> Guarded:
        """Start `factory <role>`; its log is `<folder>/<name>.log`."""
        name = name or "-".join(role)
        env = {"FACTORY_WORKER_NAME": name, **env} if role[0] == "worker" else env
        log = self.folder / f"{name}.log"
        worker = Guarded([sys.executable, "-m", "factory", *role], log=log, env=self.env | env, cwd=ROOT, grace=20)
        self.hired.append(worker)
        return worker

    def close(self) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(Guarded.stop, self.hired))
        self.redis.close()
        self.sql.close()
        self.db.close()

    def order(self, **changes: Any) -> uuid.UUID:
        """One interactive job, committed and not rung for."""
        order = JobOrder(**{"prompt": SECRET_PROMPT, "seed": 7, "sku": "SKU-1", **changes})
        with self.db.transaction() as session:
            return submit_job(session, self.db.now(), self.caller, admit(order, self.admission()))

    def order_batch(self, rows: Iterable[Mapping[str, Any]]) -> uuid.UUID:
        parsed = (ParsedRow(n, JobOrder(**{"prompt": SECRET_PROMPT, **row})) for n, row in enumerate(rows, 1))
        prepared = prepare_batch(parsed, self.admission())
        with self.db.transaction() as session:
            return submit_batch(session, self.db.now(), self.caller, BatchOrder("spring"), prepared, request_sha256=SHA)

    def ring(self, times: int = 1) -> None:
        """What ring() publishes, by a process that does nothing else."""
        app = self.celery()
        with app.connection_for_write() as connection:
            for _ in range(times):
                app.send_task("factory.generate", queue="gpu", connection=connection, expires=60)

    def celery(self) -> Any:
        """A bare Celery client of this broker: what anybody with the password could be."""
        from celery import Celery
        from kombu.entity import Queue

        app = Celery("stranger", broker=self.valkey.url, set_as_current=False)
        app.conf.update(task_queues=[Queue("gpu"), Queue("cpu")], task_create_missing_queues=False)
        return app

    def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        return self.sql.execute(statement, values).fetchall()

    def job(self, job_id: uuid.UUID | str) -> dict[str, Any]:
        return self.rows("SELECT * FROM jobs WHERE id = %s", job_id)[0]

    def actions(self, job_id: uuid.UUID) -> list[str]:
        return [row["action"] for row in self.rows("SELECT action FROM audit_events WHERE job_id = %s ORDER BY id", job_id)]

    def statuses(self) -> dict[str, int]:
        return {row["status"]: row["n"] for row in self.rows("SELECT status, count(*) AS n FROM jobs GROUP BY status")}

    def idle(self) -> bool:
        return not {"queued", "running"} & set(self.statuses())

    def ended(self, job_id: uuid.UUID | str) -> bool:
        return self.job(job_id)["status"] not in ("queued", "running")

    def books_balance(self) -> None:
        """Each succeeded job has one asset and one generation record, nothing else has any, and each asset's file is there."""
        done = {row["id"] for row in self.rows("SELECT id FROM jobs WHERE status = 'succeeded'")}
        for table in ("assets", "generations"):
            named = [row["job_id"] for row in self.rows(f"SELECT job_id FROM {table}")]
            assert len(named) == len(set(named)), f"{table} are doubled"
            assert set(named) == done, f"{table} do not match the jobs that succeeded"
        for row in self.rows("SELECT key, bytes FROM assets"):
            assert (self.pictures / row["key"]).stat().st_size == row["bytes"]


def until(true: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait; returns how long it took, fails after `seconds`."""
    began = time.monotonic()
    while not true():
        took = time.monotonic() - began
        assert took < seconds, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - began


def child_of(worker: Guarded) -> psutil.Process:
    """The process that holds the card, not the semaphore tracker beside it."""
    for process in psutil.Process(worker.pid).children():
        if "spawn_main" in " ".join(process.cmdline()):
            return process
    raise AssertionError("the worker has no child")


def kill_child(worker: Guarded) -> int:
    process = child_of(worker)
    process.send_signal(signal.SIGKILL)
    return process.pid
