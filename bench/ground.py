"""What both sides of a benchmark stand on: real Valkey, Postgres (fsync on) and S3 on this machine, and CPU by process tree."""

import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from factory.embedded.postgres import Postgres
from factory.embedded.s3_servers import Rclone
from factory.embedded.valkey import Valkey

BUCKET = "bench"


@dataclass
class Ground:
    folder: Path
    postgres: Postgres
    valkey: Valkey
    s3: Rclone

    def environment(self) -> dict[str, str]:
        """FACTORY_* variables of a worker on this ground."""
        return {
            **os.environ,
            "FACTORY_DATABASE_URL": self.postgres.app_url,
            "FACTORY_REDIS_URL": self.valkey.url,
            "FACTORY_STORAGE_URL": self.s3.storage_url(BUCKET),
            "FACTORY_S3_ACCESS_KEY": self.s3.access_key,
            "FACTORY_S3_SECRET_KEY": self.s3.secret_key,
            "FACTORY_LINK_SECRET": "bench" * 8,
            "FACTORY_DATA_DIR": str(self.folder / "data"),
            "FACTORY_CHECKPOINTS_DIR": str(self.folder / "checkpoints"),
            "FACTORY_LOG_LEVEL": "WARNING",
            "OMP_NUM_THREADS": "1",
        }


@contextmanager
def ground() -> Iterator[Ground]:
    with tempfile.TemporaryDirectory(prefix="factory-bench-") as name:
        folder = Path(name)
        postgres, valkey, s3 = Postgres(folder / "postgres"), Valkey(folder / "valkey"), Rclone(folder / "s3")
        servers = [postgres, valkey, s3]
        try:
            for server in servers:
                server.start()
            s3.make_bucket(BUCKET)
            yield Ground(folder, postgres, valkey, s3)
        finally:
            for server in reversed(servers):
                server.stop()


def cpu_seconds(pid: int) -> float:
    """User and system seconds of a process and its living children."""
    process = psutil.Process(pid)
    total = 0.0
    for member in [process, *process.children(recursive=True)]:
        times = member.cpu_times()
        total += times.user + times.system
    return total


def machine() -> str:
    """One line for the report."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, load {load}, {platform.processor() or platform.machine()}, Python {platform.python_version()}"
