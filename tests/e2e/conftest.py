"""Whole factories behind real HTTP, each with servers of its own, because these tests hurt servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from factory.embedded.postgres import Postgres
from factory.embedded.s3_servers import Rclone
from factory.embedded.valkey import Valkey
from tests.conftest import START_SECONDS, WITHOUT_DISK_WAITS
from tests.e2e.line import Line


@pytest.fixture(scope="module")
def build_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Line]]:
    """Makes factories without roles; `env` goes to all processes of one."""
    with ExitStack() as stack:

        def build(**env: str) -> Line:
            folder = tmp_path_factory.mktemp("line")
            postgres = stack.enter_context(Postgres(folder / "postgres", settings=WITHOUT_DISK_WAITS))
            valkey, rclone = Valkey(folder / "valkey"), Rclone(folder / "rclone")
            valkey.start_seconds = rclone.start_seconds = START_SECONDS
            stack.enter_context(valkey)
            stack.enter_context(rclone)
            line = Line(folder, postgres, valkey, rclone, **env)
            stack.callback(line.close)
            return line

        yield build
