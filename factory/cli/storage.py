"""factory storage: what the owner of the bucket should know."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from factory.cli.exit_codes import OneLineErrors
from factory.cli.output import Json, print_json, print_table

app = typer.Typer(cls=OneLineErrors, no_args_is_help=True, help="Rules for the storage of the pictures.")


@app.callback()
def storage() -> None:
    """Rules for the storage of the pictures."""


@app.command()
def lifecycle(
    undo_days: Annotated[int, typer.Option(min=1, max=3650, help="How long a bucket with versions keeps what was deleted.")] = 7,
    *,
    by_tag: Annotated[bool, typer.Option("--by-tag", help="Add a rule for each retention class, for tagged objects.")] = False,
    rules: Annotated[bool, typer.Option("--print", help="Print the rules themselves, as --json does.")] = False,
    as_json: Json = False,
) -> None:
    """S3 lifecycle rules beside the factory's own retention: feed them to `aws s3api put-bucket-lifecycle-configuration`."""
    from factory.storage.lifecycle import lifecycle_rules

    found = lifecycle_rules(undo_days=undo_days, by_tag=by_tag)
    if rules or as_json:
        return print_json(found)
    return print_table(["rule", "what it does"], ([rule["ID"], _told(rule)] for rule in found["Rules"]))


def _told(rule: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in rule.items() if name not in {"ID", "Status"})
