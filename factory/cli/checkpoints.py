"""factory checkpoints: which weights may be ordered, registered by an operator on the database."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from factory.cli.exit_codes import OneLineErrors
from factory.cli.output import Json, moment, print_json, print_table
from factory.cli.settings_here import open_database, operator, settings_here

app = typer.Typer(cls=OneLineErrors, no_args_is_help=True, help="Register and list checkpoints.")


@app.command()
def add(
    folder: Annotated[Path, typer.Argument(help="Diffusers folder; safetensors only.")],
    engine: Annotated[str, typer.Option(help="What draws with it: zimage or simulated.")] = "zimage",
    name: Annotated[str, typer.Option(help="Name to order it by; default: the folder's.")] = "",
    native_side: Annotated[int, typer.Option(help="Width and height in pixels of an order that names none.")] = 1024,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace files that open jobs were ordered with; those jobs will fail.")] = False,
    as_json: Json = False,
) -> None:
    """Hash a checkpoint's files and make it orderable. Workers look for it in their checkpoints folder under its name.

    A new version wants a new name: jobs ordered before keep the files that they were ordered with.
    """
    from factory.cli.checkpoint_files import register_folder, warning

    folder = folder.resolve()
    expected = settings_here().checkpoints_dir.resolve() / (name or folder.name)
    with open_database() as db:
        added = register_folder(db, folder, engine=engine, name=name, native_side=native_side, operator=operator(), force=force)
    if added.stranded:
        typer.echo(f"warning: {warning(added.name, added.stranded)}", err=True)
    if expected != folder and not expected.exists():
        typer.echo(f"Workers look for it in {expected}: copy or link it there on each GPU node.", err=True)
    if as_json:
        return print_json(asdict(added))
    return typer.echo(f"{added.name}: {added.engine}, {added.bytes / 1e6:.1f} MB, sha256 {added.sha256}")


@app.command("list")
def show(*, as_json: Json = False) -> None:
    """Every orderable checkpoint."""
    from factory.jobs.checkpoints import list_checkpoints

    columns = ("name", "engine", "sha256", "bytes", "native_side", "registered_at")
    with open_database() as db:
        rows = [{name: getattr(row, name) for name in columns} for row in list_checkpoints(db).values()]
    if as_json:
        return print_json(rows)
    cells = (
        [
            row["name"],
            row["engine"],
            row["sha256"][:16] + "…",
            f"{row['bytes'] / 1e6:.1f} MB",
            row["native_side"],
            moment(row["registered_at"]),
        ]
        for row in rows
    )
    return print_table(
        ["name", "engine", "sha256", "size", "native side", "registered"], cells, empty="none: `factory checkpoints add FOLDER`"
    )
