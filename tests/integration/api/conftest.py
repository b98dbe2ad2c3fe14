"""The API on a real Postgres of its own, a folder as storage, and keys of two tenants."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text

from factory.api import create_app
from factory.db import Database
from factory.domain.api_key import Scope
from factory.domain.audit_event import Actor
from factory.embedded.postgres import Postgres
from factory.jobs.checkpoints import register_checkpoint
from factory.jobs.keys import create_key
from factory.jobs.migrate import migrate
from factory.settings import Settings

TESTER = Actor("operator", "tests")
SECRET = "a link secret of forty characters, or so"
Key = Callable[..., str]


@pytest.fixture(autouse=True, scope="package")
def plain_logs() -> Iterator[None]:
    """One line each. What structlog does unasked, drawing every frame's variables, takes seconds."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)],
    )
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def api_urls(postgres: Postgres) -> tuple[str, str]:
    """(the owner's, the application's) URL of a migrated database that only these tests use."""
    owner = create_engine(postgres.url, isolation_level="AUTOCOMMIT")
    with owner.connect() as connection:
        connection.execute(text("CREATE DATABASE api"))
    owner.dispose()
    urls = postgres.url.removesuffix("/factory") + "/api", postgres.app_url.removesuffix("/factory") + "/api"
    migrate(urls[0])
    return urls


@pytest.fixture(scope="session")
def settings(api_urls: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder: Path = tmp_path_factory.mktemp("api")
    return Settings(
        database_url=api_urls[1],
        redis_url="redis://127.0.0.1:1/0",
        storage_url=f"file://{folder}/pictures",
        link_secret=SECRET,
        public_url="http://testserver",
        data_dir=folder,
    )


class Bell:
    """Counts what was rung for."""

    def __init__(self) -> None:
        self.rung = 0

    def __call__(self, jobs: int) -> None:
        self.rung += jobs


@pytest.fixture(scope="session")
def bell() -> Bell:
    return Bell()


class ReadersBell:
    """Counts how often a reader was woken."""

    def __init__(self) -> None:
        self.rung = 0

    def __call__(self) -> None:
        self.rung += 1


@pytest.fixture(scope="session")
def readers_bell() -> ReadersBell:
    return ReadersBell()


def answering() -> None:
    """A broker that is there."""


@pytest.fixture(scope="session")
def app(settings: Settings, bell: Bell, readers_bell: ReadersBell) -> FastAPI:
    return create_app(settings, ring=bell, wake_reader=readers_bell, probe_broker=answering)


@pytest.fixture(scope="session")
def db(app: FastAPI) -> Iterator[Database]:
    database: Database = app.state.db
    for name in ("simulated", "default"):
        register_checkpoint(database, name=name, engine="simulated", sha256="0" * 64, size=1, native_side=1024, actor=TESTER)
    yield database
    database.close()


@pytest.fixture(scope="session")
def make_key(db: Database) -> Key:
    """make_key(tenant, *scopes, life=None) → the secret. Without scopes it may do everything."""

    def make(tenant: str, *scopes: Scope, life: timedelta | None = None) -> str:
        return create_key(db, tenant=tenant, name="test", scopes=scopes or list(Scope), actor=TESTER, life=life)[1]

    return make


@pytest.fixture(scope="session")
def client_of(app: FastAPI, make_key: Key) -> Callable[[str], TestClient]:
    """A client with a key of that tenant. Faults of ours show as answers, as they would to a real client."""

    def of(tenant: str) -> TestClient:
        return TestClient(app, headers={"Authorization": f"Bearer {make_key(tenant)}"}, raise_server_exceptions=False)

    return of


@pytest.fixture
def client(client_of: Callable[[str], TestClient], request: pytest.FixtureRequest) -> TestClient:
    """A tenant of its own for each test, so that lists hold only what the test ordered."""
    return client_of(tenant_of(request))


def tenant_of(request: pytest.FixtureRequest) -> str:
    letters = "".join(letter if letter.isalnum() else "-" for letter in request.node.name.lower() if letter.isascii())
    return f"t-{letters}"[:50].strip("-") + f"-{abs(hash(request.node.nodeid)) % 10**8}"


@pytest.fixture
def tenant(request: pytest.FixtureRequest) -> str:
    return tenant_of(request)
