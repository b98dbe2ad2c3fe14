"""The application may add to the log and read it; nobody may change it."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APP = "factory_app"
LOG = ("audit_events", "generations")
GRANTS = {
    "SELECT, INSERT": ("generations", "tenants", "assets"),
    # Not `id`: the database numbers the log, whatever the application says.
    "SELECT, INSERT (at, tenant, actor_kind, actor, action, batch_id, job_id, attempt, sku, was, became, detail)": ("audit_events",),
    "SELECT, INSERT, UPDATE": ("jobs", "batches", "name_counters", "api_keys", "checkpoints"),
    "SELECT, INSERT, DELETE": ("idempotency_keys",),
}


def upgrade() -> None:
    op.execute(
        f"""
        DO $$ BEGIN
          IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP}') THEN CREATE ROLE {APP} NOLOGIN; END IF;
        END $$
        """
    )
    for rights, tables in GRANTS.items():
        op.execute(f"GRANT {rights} ON {', '.join(tables)} TO {APP}")
    op.execute(f"GRANT SELECT ON alembic_version TO {APP}")
    op.execute(
        """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege'; END $$
        """
    )
    for table in LOG:
        # The owner is stopped too; only a superuser who disables the trigger gets past it.
        op.execute(f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change()")
        op.execute(f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()")
    # A queue table lives by vacuum: claimed rows leave dead entries that every later claim walks over.
    op.execute(
        "ALTER TABLE jobs SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,"
        " autovacuum_vacuum_cost_delay = 0)"
    )


def downgrade() -> None:
    op.execute(
        "ALTER TABLE jobs RESET (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay)"
    )
    for table in LOG:
        op.execute(f"DROP TRIGGER no_truncate ON {table}")
        op.execute(f"DROP TRIGGER append_only ON {table}")
    op.execute("DROP FUNCTION refuse_change()")
    op.execute("REVOKE SELECT ON alembic_version FROM factory_app")
    for rights, tables in GRANTS.items():
        op.execute(f"REVOKE {rights} ON {', '.join(tables)} FROM {APP}")
