"""A whole factory as its customers see it: HTTP in front, S3 behind, and servers that a test may hurt."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from factory.bootstrap import build_storage
from factory.domain.api_key import Scope
from factory.embedded.guarded import Guarded
from factory.embedded.ports import free_port
from factory.embedded.postgres import DATABASE, Postgres
from factory.embedded.s3_servers import Rclone
from factory.embedded.valkey import Valkey
from factory.jobs.keys import create_key
from factory.jobs.migrate import migrate
from factory.jobs.sweep_objects import OWNERS
from tests.integration.jobs.books import books_at
from tests.integration.jobs.truth import Row, read_rows
from tests.integration.queue.plant import ACTOR, TENANT, Plant, until

BUCKET = "pictures"


class Line(Plant):
    """`client` speaks to the API with a key of the tenant, once `open` has started it."""

    def __init__(self, folder: Path, postgres: Postgres, valkey: Valkey, rclone: Rclone, **env: str) -> None:
        self.postgres, self.rclone = postgres, rclone
        rclone.make_bucket(BUCKET)
        books = books_at(postgres, DATABASE)
        migrate(books.owner_url)
        self.port = free_port()
        url = f"http://127.0.0.1:{self.port}"
        super().__init__(
            folder,
            valkey,
            books,
            FACTORY_STORAGE_URL=rclone.storage_url(BUCKET),
            FACTORY_S3_ACCESS_KEY=rclone.access_key,
            FACTORY_S3_SECRET_KEY=rclone.secret_key,
            FACTORY_PUBLIC_URL=url,
            **env,
        )
        _, secret = create_key(self.db, tenant=TENANT, name="e2e", scopes=list(Scope), actor=ACTOR)
        self.client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {secret}"}, timeout=60, trust_env=False)
        self.storage = build_storage(self.settings)

    def open(self, *, gpus: int = 1) -> None:
        """Start the API, beat, the cpu worker and `gpus` gpu workers; returns when the API answers."""
        self.hire("api", "--port", str(self.port))
        self.hire("beat")
        self.hire("worker", "cpu")
        for n in range(1, gpus + 1):
            self.hire_gpu(f"gpu-{n}")
        until(self.answers, 150, "the API answers")

    def hire_gpu(self, name: str) -> Guarded:
        return self.hire("worker", "gpu", name=name)

    def answers(self) -> bool:
        try:
            return self.client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def progress(self, batch: str) -> dict[str, Any] | None:
        """The batch's counts as a customer reads them; None while the API cannot say."""
        try:
            answer = self.client.get(f"/api/v1/batches/{batch}")
        except httpx.TransportError:
            return None
        if answer.status_code >= 500:
            assert answer.headers["content-type"] == "application/problem+json"
            return None
        counts: dict[str, Any] = answer.raise_for_status().json()["counts"]
        return counts

    def restart_postgres(self) -> None:
        """SIGQUIT is Postgres' `immediate`: connections break, nothing is flushed, the next start recovers."""
        os.kill(self.postgres.pid, signal.SIGQUIT)
        until(lambda: not self.postgres.pid, 60, "Postgres ends")
        self.postgres.start()
        self.sql.close()
        self.sql = psycopg.connect(self.books.owner_dsn, autocommit=True, row_factory=dict_row)

    def truth(self) -> list[Row]:
        """Every job with what hangs on it, straight from the tables."""
        with psycopg.connect(self.books.owner_dsn, autocommit=True) as sql:
            return list(read_rows(sql, TENANT).values())

    def stored_keys(self) -> set[str]:
        return {item.key for item in self.storage.list() if not item.key.startswith(OWNERS)}

    def storage_matches(self) -> None:
        """The storage holds what the database names, nothing else, and byte for byte what both records say."""
        named = self.rows("SELECT a.key, a.bytes, a.sha256, g.asset_key, g.asset_sha256 FROM assets a JOIN generations g USING (job_id)")
        assert {row["key"] for row in named} == self.stored_keys()
        for row in named:
            content = self.storage.get(row["key"])
            assert (len(content), hashlib.sha256(content).hexdigest()) == (row["bytes"], row["sha256"])
            assert (row["key"], row["sha256"]) == (row["asset_key"], row["asset_sha256"])

    def close(self) -> None:
        self.client.close()
        super().close()
