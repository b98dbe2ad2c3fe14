"""Ground: a Postgres of its own, and for each run a fresh database in which time is what the simulation says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.domain.tenant import Tenant
from factory.embedded.postgres import DATABASE, Postgres
from factory.jobs.checkpoints import register_checkpoint
from factory.jobs.loras import register_lora
from factory.jobs.migrate import migrate
from factory.simulate.scenario import Scenario

# Nothing here outlives the run. Statistics come soon after rows do, as they would in a factory that runs for weeks.
SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "128MB", "autovacuum_naptime": "1"}
BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)
ACTOR = Actor("operator", "simulation")


class FakeClock:
    """`seconds` since the scenario began; whoever plays it sets them."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> datetime:
        return BEGIN + timedelta(seconds=self.seconds)


@dataclass(frozen=True)
class Books:
    """One database, its clock, and who orders."""

    db: Database
    clock: FakeClock
    callers: dict[str, Caller]


class Ground:
    """Raises ServerFailed, or FileNotFoundError when the Postgres package is missing."""

    def __init__(self, folder: Path) -> None:
        self._postgres, self._numbers = Postgres(folder / "postgres", settings=SETTINGS), count(1)

    def __enter__(self) -> Self:
        self._postgres.start()
        migrate(self._postgres.url)
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        self._postgres.stop()

    @contextmanager
    def books(self, scenario: Scenario) -> Iterator[Books]:
        """A database with the newest schema, the scenario's tenants, checkpoints and LoRAs, and no orders."""
        name, clock = f"play_{next(self._numbers)}", FakeClock()
        self._as_owner(f"CREATE DATABASE {name} TEMPLATE {DATABASE}")
        url = make_url(self._postgres.app_url).set(database=name).render_as_string(hide_password=False)
        db = Database(url, clock=clock, pool_size=2)
        try:
            _furnish(db, scenario)
            yield Books(db, clock, {tenant: Caller(tenant=tenant, name="simulation") for tenant in scenario.tenant_names})
        finally:
            db.close()
            self._as_owner(f"DROP DATABASE {name} WITH (FORCE)")

    def _as_owner(self, statement: str) -> None:
        engine = create_engine(make_url(self._postgres.url).set(database="postgres"), isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.execute(text(statement))
        finally:
            engine.dispose()


def _furnish(db: Database, scenario: Scenario) -> None:
    with db.transaction() as session:
        session.add_all(Tenant(id=tenant, created_at=db.now()) for tenant in scenario.tenant_names)
    for checkpoint in scenario.checkpoint_names:
        register_checkpoint(db, name=checkpoint, engine="simulated", sha256=_sha256(checkpoint), size=1, native_side=1024, actor=ACTOR)
        for lora in scenario.lora_names(checkpoint):
            register_lora(db, name=lora, sha256=_sha256(lora), size=1, actor=ACTOR)


def _sha256(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
