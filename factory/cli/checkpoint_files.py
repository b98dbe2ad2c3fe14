"""A checkpoint folder on this machine becomes a row that can be ordered."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from factory.cli.exit_codes import Failed, Usage

if TYPE_CHECKING:
    from factory.db import Database


@dataclass(frozen=True)
class Registered:
    """`bytes` is what the files weigh on disk; `is_new` is false when nothing had to change. `stranded` jobs wait for the files
    that had this name before."""

    name: str
    engine: str
    sha256: str
    bytes: int
    native_side: int
    is_new: bool
    stranded: int = 0


def register_folder(
    db: Database,
    folder: Path,
    *,
    engine: str,
    native_side: int,
    operator: str,
    name: str = "",
    if_changed: bool = False,
    force: bool = False,
) -> Registered:
    """Hash every file and register the folder under `name`, its own name by default.

    Raises BadCheckpoint (missing, empty, holds pickles or code), Usage (unknown engine or name), and unless `force` Failed
    (the name has other files now, and jobs wait for them).
    """
    from factory.domain.audit_event import Actor
    from factory.jobs.checkpoints import list_checkpoints, register_checkpoint
    from factory.workers.checkpoints import manifest_sha256
    from factory.workers.engines import ENGINES

    name = name or folder.name
    if engine not in ENGINES:
        raise Usage(f"--engine {engine!r} is unknown; known: {', '.join(sorted(ENGINES))}")
    if not 64 <= native_side <= 4096 or native_side % 16:
        raise Usage(f"--native-side {native_side} must be a multiple of 16 between 64 and 4096")
    sha256 = manifest_sha256(folder)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    known = list_checkpoints(db).get(name)
    same = known is not None and (known.sha256, known.engine, known.native_side) == (sha256, engine, native_side)
    stranded = 0 if known is None or known.sha256 == sha256 else _waiting_for_other_files(db, name, sha256)
    if stranded and not force:
        raise Failed(
            f"{warning(name, stranded)}. Give the new files a new name (--name), or let the queue drain first, or insist with --force"
        )
    if not (same and if_changed):
        actor = Actor("operator", operator)
        register_checkpoint(db, name=name, engine=engine, sha256=sha256, size=size, native_side=native_side, actor=actor)
    return Registered(name, engine, sha256, size, native_side, not same, stranded)


def warning(name: str, stranded: int) -> str:
    """What replacing a checkpoint does to `stranded` jobs."""
    jobs = "1 open job was" if stranded == 1 else f"{stranded} open jobs were"
    return f"checkpoint {name}: {jobs} ordered with other files of this name, and will fail on workers that have only the new ones"


def _waiting_for_other_files(db: Database, name: str, sha256: str) -> int:
    """Open jobs that were ordered with files other than these."""
    from sqlalchemy import func, select

    from factory.domain.job import Job
    from factory.domain.status import JobStatus

    is_open = Job.status.in_([JobStatus.QUEUED.value, JobStatus.RUNNING.value])
    others = select(func.count()).where(is_open, Job.checkpoint == name, Job.spec["checkpoint_sha256"].astext != sha256)
    with db.transaction() as session:
        return int(session.scalar(others) or 0)
