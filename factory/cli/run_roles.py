"""factory api, worker, beat, flower, migrate: one process of the factory each."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import Annotated

import typer

from factory.cli.exit_codes import Failed, Usage
from factory.cli.output import Json, print_json
from factory.cli.settings_here import adopt_env_file, settings_here


class WorkerRole(StrEnum):
    """gpu draws pictures; cpu does upkeep and whatever else needs no card."""

    GPU = "gpu"
    CPU = "cpu"


def api(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")] = 8000,
) -> None:
    """Serve the HTTP API in this process."""
    adopt_env_file()
    settings_here()
    options = ["--host", host, "--port", str(port), "--no-access-log", "--no-server-header", "--timeout-graceful-shutdown", "8"]
    os.execv(sys.executable, [sys.executable, "-m", "uvicorn", "factory.asgi:app", *options, "--log-level", "warning"])


def worker(
    role: Annotated[WorkerRole, typer.Argument(help="Which queue to serve.")],
    name: Annotated[str, typer.Option(help="Unique name of this process; default: host and process id.")] = "",
) -> None:
    """Serve a queue until SIGTERM: finish the picture in work, give back the rest."""
    if name:
        os.environ["FACTORY_WORKER_NAME"] = name
    adopt_env_file()
    settings = settings_here()
    from factory.tasks.roles import run_worker

    run_worker(role.value, settings)


def beat() -> None:
    """Ring for upkeep every few seconds."""
    adopt_env_file()
    settings = settings_here()
    from factory.tasks.roles import run_beat

    run_beat(settings)


def flower(host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1") -> None:
    """Show workers and pictures, read-only, behind a password."""
    adopt_env_file()
    settings = settings_here()
    if settings.flower_password is None:
        raise Usage("FACTORY_FLOWER_PASSWORD is not set: Flower does not start without a password")
    from factory.tasks.roles import run_flower

    run_flower(settings, host)


def migrate(
    revision: Annotated[str, typer.Option(help="Schema version to reach.")] = "head",
    *,
    as_json: Json = False,
) -> None:
    """Bring the database to the newest schema, as its owner."""
    from sqlalchemy.exc import OperationalError

    from factory.errors import DatabaseDown
    from factory.jobs.migrate import migrate as bring_to
    from factory.jobs.migrate import newest_revision

    settings = settings_here()
    url = (settings.migration_database_url or settings.database_url).get_secret_value()
    try:
        bring_to(url, revision)
    except OperationalError as fault:
        raise DatabaseDown(f"the database did not answer ({str(fault.orig).strip().splitlines()[0]}); see FACTORY_DATABASE_URL") from fault
    except Exception as fault:
        raise Failed(f"migration failed: {str(fault).strip().splitlines()[0]}") from fault
    reached = newest_revision() if revision == "head" else revision
    if as_json:
        return print_json({"revision": reached})
    return typer.echo(f"The database is at revision {reached}.")
