"""Real servers for every test that asks for one: started at the first use, on free ports, gone with the run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from factory.embedded.postgres import Postgres
from factory.embedded.s3_servers import Moto, Rclone
from factory.embedded.valkey import Valkey

# Before anything imports torch: two threads on a busy machine spin, and are ten times slower.
os.environ["OMP_NUM_THREADS"] = "1"

# Several runs share the cores: how long an example took says what else ran, not what the code does.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

# A test kills processes, never the machine: the kernel keeps what was written, so waiting for the disk proves nothing.
WITHOUT_DISK_WAITS = {"fsync": "off"}
# Of one start, beside others that start.
START_SECONDS = 60.0


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A running Postgres with the empty database `factory` and the role `factory_app`. Whoever hurts it starts it again."""
    with Postgres(tmp_path_factory.mktemp("postgres"), settings=WITHOUT_DISK_WAITS) as server:
        yield server


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A running Valkey. Whoever hurts it starts it again."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start_seconds = START_SECONDS
    with server:
        yield server


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    server = Moto(tmp_path_factory.mktemp("moto"))
    server.start_seconds = START_SECONDS
    with server:
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rclone]:
    server = Rclone(tmp_path_factory.mktemp("rclone"))
    server.start_seconds = START_SECONDS
    with server:
        yield server


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real Z-Image folder with small random weights. Whoever hurts it copies it first."""
    from tests.random_checkpoint import build

    return build(tmp_path_factory.mktemp("checkpoints") / "tiny")
