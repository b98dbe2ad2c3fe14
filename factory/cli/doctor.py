"""factory doctor: is everything as the factory needs it? Every finding says what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import typer

from factory.cli.exit_codes import FAILED, Usage
from factory.cli.output import Json, print_json, print_table, status

if TYPE_CHECKING:
    from factory.cli.checkup.finding import Finding
    from factory.settings import Settings

DATABASE = "start Postgres, and see FACTORY_DATABASE_URL"
REDIS = "start Redis, and see FACTORY_REDIS_URL"
STORAGE = "see FACTORY_STORAGE_URL and the keys: the bucket must exist and allow put, get and delete"
Look = tuple[str, Callable[[], str], str]


def doctor(*, as_json: Json = False) -> None:
    """Check this node and all it needs; exits 1 when something is wrong."""
    findings = _examine_all()
    failed = [finding for finding in findings if finding.status == "failed"]
    if as_json:
        print_json({"ok": not failed, "checks": [asdict(finding) for finding in findings]})
    else:
        print_table(
            ["check", "status", "what was seen", "remedy"],
            ([finding.name, status(finding.status), finding.detail, finding.remedy or None] for finding in findings),
        )
        typer.echo(f"{len(failed)} of {len(findings)} checks failed." if failed else f"All well: {len(findings)} checks.")
    if failed:
        raise typer.Exit(FAILED)


def _examine_all() -> list[Finding]:
    from factory.cli.checkup.finding import Finding, examine
    from factory.cli.settings_here import settings_here

    try:
        settings = settings_here()
    except Usage as wrong:
        looks = _of_machine()
        missing = Finding("settings", "failed", str(wrong).split(". ")[0], "set them, or start a stack with `factory up`")
        return [missing, *(examine(name, check, remedy=remedy) for name, check, remedy in looks)]
    looks = [*_of_machine(), *_of_settings(settings), *_of_database(settings), *_of_servers(settings)]
    return [examine(name, check, remedy=remedy) for name, check, remedy in looks]


def _of_machine() -> list[Look]:
    from factory.cli.checkup import machine

    return [
        ("python", machine.python, "install Python 3.11 or newer"),
        ("fonts", machine.fonts, "install the package again: its fonts folder is damaged"),
        ("torch and card", machine.torch, "install torch again, or look at the driver with `nvidia-smi`"),
    ]


def _of_settings(settings: Settings) -> list[Look]:
    from factory.cli.checkup import machine, secrets

    return [
        ("settings", partial(secrets.complete, settings), "set the variables that are named"),
        ("secrets", partial(secrets.not_worn, settings), "set long random secrets"),
        ("link secret", partial(secrets.link_secret, settings), "set FACTORY_LINK_SECRET"),
        ("flower password", partial(secrets.flower_password, settings), "set FACTORY_FLOWER_PASSWORD"),
        ("data folder", partial(machine.data_folder, settings), "set FACTORY_DATA_DIR to a writable folder"),
        ("disk space", partial(machine.disk, settings), "free some space"),
        ("ports", partial(machine.ports, settings), "choose other ports"),
    ]


def _of_database(settings: Settings) -> list[Look]:
    from factory.bootstrap import build_database
    from factory.cli.checkup import database, stations

    db = build_database(settings, pool_size=1)
    return [
        ("database", partial(database.reachable, db), DATABASE),
        ("schema", partial(database.schema, db), DATABASE),
        ("audit log", partial(database.log_is_append_only, db), "run `factory migrate`"),
        ("clock", partial(database.clock, db), DATABASE),
        ("checkpoints", partial(stations.checkpoints, db, settings), "run `factory migrate`, then `factory checkpoints add FOLDER`"),
    ]


def _of_servers(settings: Settings) -> list[Look]:
    from factory.cli.checkup import redis_server, stations

    return [
        ("redis", partial(redis_server.reachable, settings), REDIS),
        ("redis password", partial(redis_server.password, settings), REDIS),
        ("redis eviction", partial(redis_server.evicts_nothing, settings), REDIS),
        ("redis persistence", partial(redis_server.keeps, settings), REDIS),
        ("storage", partial(stations.storage, settings), STORAGE),
        ("prompt rules", partial(stations.rules, settings), "mend the file named in FACTORY_POLICY_FILE, or unset it"),
        ("labels", partial(stations.labels, settings), "mend the file named in FACTORY_LABELS_FILE, or unset it"),
    ]
