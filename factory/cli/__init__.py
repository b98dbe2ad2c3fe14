"""The terminal door: `factory …`. Exit codes: 1 failed, 2 wrong usage or settings, 3 not reachable."""

from __future__ import annotations

import typer

from factory.cli import audit, batches, checkpoints, jobs, keys, loras, queue, run_roles, storage, templates, webhooks
from factory.cli.catalogues import apply, plan, quote
from factory.cli.demo import demo
from factory.cli.doctor import doctor
from factory.cli.exit_codes import OneLineErrors
from factory.cli.extend import extend
from factory.cli.simulate import simulate
from factory.cli.submit import submit
from factory.cli.up import up
from factory.cli.watch import watch

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
app.command(rich_help_panel=HERE)(demo)
app.command(rich_help_panel=HERE)(doctor)
app.command(rich_help_panel=HERE)(simulate)
app.command(rich_help_panel=ORDERS)(submit)
app.command(rich_help_panel=ORDERS)(watch)
for command in (plan, apply, quote):
    app.command(rich_help_panel=ORDERS)(command)
app.add_typer(templates.app, name="templates", rich_help_panel=ORDERS)
batches.app.command()(extend)
app.add_typer(batches.app, name="batches", rich_help_panel=ORDERS)
app.add_typer(jobs.app, name="jobs", rich_help_panel=ORDERS)
app.add_typer(audit.app, name="audit", rich_help_panel=ORDERS)
app.add_typer(webhooks.app, name="webhooks", rich_help_panel=ORDERS)
app.add_typer(keys.app, name="keys", rich_help_panel=OPERATORS)
app.add_typer(checkpoints.app, name="checkpoints", rich_help_panel=OPERATORS)
app.add_typer(loras.app, name="loras", rich_help_panel=OPERATORS)
app.add_typer(queue.app, name="queue", rich_help_panel=OPERATORS)
app.add_typer(webhooks.notify, name="notify", rich_help_panel=OPERATORS)
app.add_typer(storage.app, name="storage", rich_help_panel=OPERATORS)
for role in (run_roles.api, run_roles.worker, run_roles.beat, run_roles.flower, run_roles.migrate):
    app.command(rich_help_panel=ROLES)(role)
