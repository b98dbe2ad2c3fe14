"""factory keys: API keys of tenants, made and revoked by an operator on the database."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from factory.cli.exit_codes import OneLineErrors, Usage
from factory.cli.output import Json, moment, print_json, print_table
from factory.cli.settings_here import open_database, operator

if TYPE_CHECKING:
    from factory.domain.api_key import ApiKey, Scope

app = typer.Typer(cls=OneLineErrors, no_args_is_help=True, help="Create, list and revoke API keys.")
SLUG = r"[a-z0-9][a-z0-9-]{0,62}"


@app.command()
def create(
    tenant: Annotated[str, typer.Option(help="Who the key belongs to; a new tenant is made.")],
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    scope: Annotated[list[str] | None, typer.Option(help="May be repeated; default: jobs:write, jobs:read, audit:read.")] = None,
    days: Annotated[int, typer.Option(min=0, help="Life in days; 0 = until revoked.")] = 0,
    *,
    as_json: Json = False,
) -> None:
    """Make a key and show its secret, once: only a hash is stored."""
    import re

    from factory.domain.audit_event import Actor
    from factory.jobs.keys import create_key

    if not re.fullmatch(SLUG, tenant):
        raise Usage(f"--tenant {tenant!r} must be small letters, digits and hyphens, at most 63, starting with a letter or digit")
    scopes = _scopes(scope)
    life = timedelta(days=days) if days else None
    with open_database() as db:
        key, secret = create_key(db, tenant=tenant, name=name, scopes=scopes, actor=Actor("operator", operator()), life=life)
    if as_json:
        return print_json({**_row(key), "secret": secret})
    typer.echo("This secret is shown once. Send it as `Authorization: Bearer …`; the CLI reads FACTORY_API_KEY.", err=True)
    return typer.echo(secret)


@app.command("list")
def show(tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None, *, as_json: Json = False) -> None:
    """Every key by its prefix, revoked ones too; secrets are not stored."""
    from factory.jobs.keys import list_keys

    with open_database() as db:
        keys = [_row(key) for key in list_keys(db, tenant=tenant)]
    if as_json:
        return print_json(keys)
    columns = ("prefix", "tenant", "name", "scopes", "created_at", "expires_at", "revoked_at", "last_used_at")
    cells = (
        [", ".join(row[name]) if name == "scopes" else moment(row[name]) if name.endswith("_at") else row[name] for name in columns]
        for row in keys
    )
    return print_table(
        [name.removesuffix("_at").replace("_", " ") for name in columns], cells, empty="no keys: `factory keys create --tenant …`"
    )


@app.command()
def revoke(prefix: Annotated[str, typer.Argument(help="Start of the key, as `keys list` shows it.")], *, as_json: Json = False) -> None:
    """End a key: it is refused within seconds."""
    from factory.domain.audit_event import Actor
    from factory.jobs.keys import revoke_key

    if len(prefix) < 6:
        raise Usage(f"{prefix!r} is too short to mean one key: give at least 6 characters")
    with open_database() as db:
        revoked = revoke_key(db, prefix=prefix[:10], actor=Actor("operator", operator()))
    return print_json({"revoked": revoked}) if as_json else typer.echo(f"Revoked {revoked}.")


def _scopes(names: list[str] | None) -> list[Scope]:
    from factory.domain.api_key import Scope

    if not names:
        return [Scope.JOBS_WRITE, Scope.JOBS_READ, Scope.AUDIT_READ]
    known = {scope.value: scope for scope in Scope}
    for name in names:
        if name not in known:
            raise Usage(f"--scope {name!r} is unknown; known: {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names)]


def _row(key: ApiKey) -> dict[str, Any]:
    names = ("id", "prefix", "tenant", "name", "scopes", "created_at", "expires_at", "revoked_at", "last_used_at")
    return {name: getattr(key, name) for name in names}
