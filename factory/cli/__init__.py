"""The terminal door: `factory …`. Exit codes: 1 failed, 2 wrong usage or settings, 3 not reachable."""

from __future__ import annotations

import typer

from factory.cli import checkpoints, keys, run_roles
from factory.cli.exit_codes import OneLineErrors
from factory.cli.up import up

app = typer.Typer(
    name="factory",
    cls=OneLineErrors,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Turns a catalogue into finished, labelled, logged pictures.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 the factory does not answer.",
)
HERE, ORDERS, OPERATORS, ROLES = "The factory on this machine", "Orders, over HTTP", "Operators, on the database", "Processes"

app.command(rich_help_panel=HERE)(up)
app.add_typer(keys.app, name="keys", rich_help_panel=OPERATORS)
app.add_typer(checkpoints.app, name="checkpoints", rich_help_panel=OPERATORS)
for role in (run_roles.api, run_roles.worker, run_roles.beat, run_roles.flower, run_roles.migrate):
    app.command(rich_help_panel=ROLES)(role)
