"""Alembic's entry: one connection, one transaction, the owner's role."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, text

from factory.domain.tables import METADATA
from factory.settings import load_settings


def url() -> str:
    """The owner's URL, passed by a caller or taken from the settings."""
    given = context.config.get_main_option("sqlalchemy.url")
    if given:
        return given
    settings = load_settings()
    return (settings.migration_database_url or settings.database_url).get_secret_value()


def run() -> None:
    engine = create_engine(url())
    with engine.connect() as connection:
        # A migration that cannot get its lock gives up instead of stopping every worker behind it.
        connection.execute(text("SET lock_timeout = '5s'"))
        connection.commit()
        context.configure(connection=connection, target_metadata=METADATA, compare_type=True, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
