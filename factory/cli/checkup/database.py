"""Checks of Postgres: there, new enough, at the newest schema, its log safe from us, and its clock ours."""

from __future__ import annotations

import time

from sqlalchemy import text

from factory.cli.checkup.finding import Sick
from factory.db import Database

OLDEST = 15
LARGEST_SKEW = 1.0


def reachable(db: Database) -> str:
    with db.transaction() as session:
        version = int(session.execute(text("SHOW server_version_num")).scalar_one()) // 10_000
        role = session.execute(text("SELECT current_user")).scalar_one()
    if version < OLDEST:
        raise Sick(f"Postgres {version}", f"upgrade to Postgres {OLDEST} or newer")
    return f"Postgres {version}, as {role}"


def schema(db: Database) -> str:
    from factory.jobs.migrate import newest_revision

    with db.transaction() as session:
        if session.execute(text("SELECT to_regclass('alembic_version')")).scalar_one() is None:
            raise Sick("the database has no tables", "run `factory migrate`")
        found = session.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    if found != (head := newest_revision()):
        raise Sick(f"revision {found}, this code wants {head}", "run `factory migrate` with the code of this version")
    return f"revision {found}, the newest"


def log_is_append_only(db: Database) -> str:
    """The role that the application uses may add to the log, and neither change nor remove."""
    rights = "UPDATE", "DELETE", "TRUNCATE"
    with db.transaction() as session:
        held = [
            f"{right} on {table}"
            for table in ("audit_events", "generations")
            for right in rights
            if session.execute(text("SELECT has_table_privilege(:table, :right)"), {"table": table, "right": right}).scalar_one()
        ]
    if held:
        remedy = "use the role factory_app in FACTORY_DATABASE_URL, the owner in FACTORY_MIGRATION_DATABASE_URL only"
        raise Sick(f"the application's role holds {', '.join(held)}", remedy)
    return "the application's role can neither change nor remove what is logged"


def clock(db: Database) -> str:
    with db.transaction() as session:
        session.execute(text("SELECT 1"))  # connected, so that only the question itself is timed
        asked = time.time()
        there = float(session.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
        skew = there - (asked + time.time()) / 2
    if abs(skew) > LARGEST_SKEW:
        raise Sick(
            f"this clock is {abs(skew):.1f} s {'behind' if skew > 0 else 'ahead of'} the database's", "run an NTP client (chrony) on both"
        )
    return f"{abs(skew) * 1000:.0f} ms from the database's"
