"""How a pool child learns that its worker shuts down: the parent alone gets SIGTERM, so it leaves a file that the child looks for.

The file exists only while the worker stops. A pipe or a lock cannot do it: Celery's pool hands none to a spawned child.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from celery import signals

VARIABLE = "FACTORY_STOPPING_FILE"


def announce_in(folder: Path) -> None:
    """In the parent, before the pool starts: say where the shutdown will be announced."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder.resolve() / f"stopping-{os.getpid()}"
    path.unlink(missing_ok=True)  # a former process with this id was killed while it stopped
    os.environ[VARIABLE] = str(path)
    signals.worker_shutting_down.connect(_announce)
    signals.worker_shutdown.connect(_gone)


def is_announced() -> bool:
    """In the child: does this worker shut down?"""
    path = os.environ.get(VARIABLE)
    return bool(path) and Path(str(path)).exists()


def _announce(**_: Any) -> None:
    Path(os.environ[VARIABLE]).touch()


def _gone(**_: Any) -> None:
    Path(os.environ[VARIABLE]).unlink(missing_ok=True)
