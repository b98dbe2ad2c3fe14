"""factory loras: which LoRAs may be ordered, registered by an operator on the database."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from factory.cli.exit_codes import Failed, OneLineErrors, Usage
from factory.cli.output import Json, moment, print_json, print_table
from factory.cli.settings_here import open_database, operator, settings_here

if TYPE_CHECKING:
    from factory.db import Database

app = typer.Typer(cls=OneLineErrors, no_args_is_help=True, help="Register and list LoRAs.")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name to order it by, and of its folder on the workers.")],
    folder: Annotated[Path, typer.Argument(help="Folder with pytorch_lora_weights.safetensors, as diffusers writes it.")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that open jobs were ordered with; those jobs will fail.")] = False,
    as_json: Json = False,
) -> None:
    """Hash a LoRA's file and make it orderable. Workers look for it in their LoRA folder under its name.

    A new version wants a new name: jobs ordered before keep the file that they were ordered with.
    """
    from factory.domain.audit_event import Actor
    from factory.domain.job_order import SAFE_NAME
    from factory.jobs.loras import list_loras, register_lora
    from factory.workers.loras import WEIGHTS, measure_lora

    if not re.match(SAFE_NAME, name) or ".." in name:
        raise Usage(f"{name!r} is no name for a LoRA: letters, digits, blanks and .()+- after the first, without `..`")
    sha256, size = measure_lora(folder.resolve())
    expected = settings_here().loras_dir.resolve() / name
    with open_database() as db:
        known = list_loras(db).get(name)
        if known is not None and known.sha256 != sha256 and (open_jobs := _waiting_for_other_file(db, name, sha256)) and not force:
            raise Failed(
                f"LoRA {name}: {open_jobs} open jobs were ordered with another file of this name. Give the new one a new name, "
                "let the queue drain first, or insist with --force"
            )
        register_lora(db, name=name, sha256=sha256, size=size, actor=Actor("operator", operator()))
    if expected != folder.resolve() and not expected.exists():
        typer.echo(f"Workers look for {WEIGHTS} in {expected}: copy or link the folder there on each GPU node.", err=True)
    if as_json:
        return print_json({"name": name, "sha256": sha256, "bytes": size, "is_new": known is None or known.sha256 != sha256})
    return typer.echo(f"{name}: {size / 1e6:.1f} MB, sha256 {sha256}")


@app.command("list")
def show(*, as_json: Json = False) -> None:
    """Every orderable LoRA."""
    from factory.jobs.loras import list_loras

    columns = ("name", "sha256", "bytes", "registered_at")
    with open_database() as db:
        rows = [{name: getattr(row, name) for name in columns} for row in list_loras(db).values()]
    if as_json:
        return print_json(rows)
    cells = ([row["name"], row["sha256"][:16] + "…", f"{row['bytes'] / 1e6:.1f} MB", moment(row["registered_at"])] for row in rows)
    return print_table(["name", "sha256", "size", "registered"], cells, empty="none: `factory loras add NAME FOLDER`")


def _waiting_for_other_file(db: Database, name: str, sha256: str) -> int:
    """Open jobs that were ordered with another file of this name."""
    from sqlalchemy import func, select

    from factory.domain.job import Job
    from factory.domain.status import JobStatus

    is_open = Job.status.in_([JobStatus.QUEUED.value, JobStatus.RUNNING.value])
    named, same = Job.spec["loras"].contains([{"name": name}]), Job.spec["loras"].contains([{"name": name, "sha256": sha256}])
    with db.transaction() as session:
        return int(session.scalar(select(func.count()).where(is_open, Job.lora_key != "", named, ~same)) or 0)
