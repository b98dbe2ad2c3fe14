"""orders by the catalogue: shares and marks of the queue, templates, LoRAs, webhooks"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

APP = "factory_app"
MOMENT = sa.DateTime(timezone=True)
JSONB = postgresql.JSONB(astext_type=sa.Text())
GRANTS = {
    "SELECT, INSERT": ("templates",),
    "SELECT, INSERT, UPDATE": ("lanes", "shares", "allowances", "speeds", "loras", "webhook_cursor"),
    "SELECT, INSERT, UPDATE, DELETE": ("queue_marks", "gpu_workers", "column_mappings", "webhook_endpoints", "webhook_deliveries"),
    "UPDATE (deleted_at)": ("assets",),
}
# name -> columns; each stands in the predicate's partial index
WAITING = "status = 'queued' AND hold IS NULL"
JOB_INDEXES = {
    "jobs_waiting_idx": (["lane", "vft", "id"], WAITING),
    "jobs_waiting_by_checkpoint_idx": (["lane", "checkpoint", "vft", "id"], WAITING),
    "jobs_waiting_by_lora_idx": (["lane", "checkpoint", "lora_key", "vft", "id"], WAITING),
    "jobs_waiting_by_turn_idx": (["tenant", "lane", "checkpoint", "turn", "id"], WAITING),
    "jobs_waiting_by_batch_idx": (["batch_id"], WAITING),
    "jobs_held_idx": (["hold", "tenant", "lane", "turn", "id"], "hold IS NOT NULL"),
    "jobs_paused_idx": (["batch_id"], "hold = 'paused'"),
    "jobs_scheduled_idx": (["not_before"], "hold = 'scheduled'"),
    "jobs_twins_idx": (["twin_id"], "twin_id IS NOT NULL"),
    "jobs_cells_idx": (["tenant", "cell", "id"], "cell IS NOT NULL"),
    "jobs_tenant_spec_sha256_id_idx": (["tenant", "spec_sha256", "id"], None),
}
# column -> type, and what rows of before get
JOB_COLUMNS = {
    "hold": (sa.Text(), None),
    "priority": (sa.Text(), "lane"),
    "turn": (sa.Double(), "vft"),
    "cost": (sa.Double(), "1"),
    "ready_at": (MOMENT, "created_at"),
    "lora_key": (sa.Text(), "''"),
    "template": (sa.Text(), None),
    "cell": (sa.Text(), None),
    "spec_sha256": (sa.Text(), "id::text"),
    "twin_id": (sa.Uuid(), None),
    "retry_of": (sa.Uuid(), None),
    "superseded": (sa.Boolean(), "false"),
    "deadline": (MOMENT, None),
}
BATCH_COLUMNS = {
    "catalogue": (sa.Text(), None),
    "template": (sa.Text(), None),
    "priority": (sa.Text(), "'bulk'"),
    "deadline": (MOMENT, None),
    "paused_at": (MOMENT, None),
    "ended_at": (MOMENT, None),
    "retention": (sa.Text(), "'archive'"),  # nobody had chosen an end for them
}


def upgrade() -> None:
    for table, columns in (("jobs", JOB_COLUMNS), ("batches", BATCH_COLUMNS)):
        for name, (kind, _) in columns.items():
            op.add_column(table, sa.Column(name, kind, nullable=True))
        filled = {name: before for name, (_, before) in columns.items() if before}
        op.execute(f"UPDATE {table} SET " + ", ".join(f"{name} = {value}" for name, value in filled.items()))  # noqa: S608 - our own constants
        for name in filled:
            op.alter_column(table, name, nullable=False)
    # Places were times of orders. What comes back to a lane where nothing waited must not stand behind such a number; its marks lift it.
    op.execute("UPDATE jobs SET vft = 0, turn = 0 WHERE status IN ('running', 'failed')")
    # Else upkeep would end every order there ever was, at the time of the upgrade.
    op.execute(
        "UPDATE batches SET ended_at = (SELECT max(finished_at) FROM jobs WHERE batch_id = batches.id)"
        " WHERE NOT EXISTS (SELECT FROM jobs WHERE batch_id = batches.id AND status IN ('queued', 'running'))"
    )
    op.create_check_constraint(op.f("jobs_held_check"), "jobs", "hold IS NULL OR status = 'queued'")
    op.drop_index("jobs_waiting_idx", table_name="jobs")
    op.drop_index("jobs_waiting_by_checkpoint_idx", table_name="jobs")
    for name, (columns, where) in JOB_INDEXES.items():
        op.create_index(name, "jobs", columns, postgresql_where=sa.text(where) if where else None)
    op.create_index("batches_open_idx", "batches", ["id"], postgresql_where=sa.text("ended_at IS NULL"))
    op.add_column("assets", sa.Column("deleted_at", MOMENT, nullable=True))
    op.create_index("assets_kept_idx", "assets", ["created_at"], postgresql_where=sa.text("deleted_at IS NULL"))
    op.add_column(
        "audit_events", sa.Column("tx", sa.BigInteger(), server_default=sa.text("pg_current_xact_id()::text::bigint"), nullable=False)
    )
    op.create_index(op.f("audit_events_tx_id_idx"), "audit_events", ["tx", "id"])
    _create_queue_tables()
    _create_order_tables()
    _create_webhook_tables()
    for rights, tables in GRANTS.items():
        op.execute(f"GRANT {rights} ON {', '.join(tables)} TO {APP}")
    # Work of before goes on where it stood.
    op.execute("INSERT INTO queue_marks SELECT lane, '', '', min(vft), min(vft), NULL FROM jobs WHERE status = 'queued' GROUP BY lane")
    op.execute(
        "INSERT INTO webhook_cursor (id, tx, event_id) SELECT 1, pg_current_xact_id()::text::bigint, coalesce(max(id), 0) FROM audit_events"
    )


def _create_queue_tables() -> None:
    op.create_table(
        "lanes",
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("paused_at", MOMENT, nullable=True),
        sa.Column("paused_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("lane", name=op.f("lanes_pkey")),
    )
    op.create_table(
        "queue_marks",
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("checkpoint", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("settled", sa.Double(), nullable=False),
        sa.Column("horizon", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("lane", "checkpoint", "tenant", name=op.f("queue_marks_pkey")),
    )
    op.create_table(
        "shares",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("member", sa.Text(), nullable=False),
        sa.Column("finish", sa.Double(), nullable=False),
        sa.Column("writer", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "lane", "member", name=op.f("shares_pkey")),
    )
    op.create_table(
        "allowances",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("member", sa.Text(), nullable=False),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.Column("max_running", sa.Integer(), nullable=True),
        sa.Column("max_queued", sa.Integer(), nullable=True),
        sa.CheckConstraint("weight > 0", name=op.f("allowances_weight_check")),
        sa.CheckConstraint("max_running >= 0 AND max_queued >= 0", name=op.f("allowances_caps_check")),
        sa.PrimaryKeyConstraint("tenant", "member", name=op.f("allowances_pkey")),
    )
    op.create_table(
        "speeds",
        sa.Column("checkpoint", sa.Text(), nullable=False),
        sa.Column("pixels", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("measured_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("checkpoint", "pixels", name=op.f("speeds_pkey")),
    )
    op.create_table(
        "gpu_workers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("resident", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("lora_key", sa.Text(), nullable=False),
        sa.Column("since_swap", sa.Integer(), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("gpu_workers_pkey")),
    )
    # Heartbeats and marks are written all the time: room in each page keeps them heap-only updates.
    op.execute("ALTER TABLE gpu_workers SET (fillfactor = 50)")
    op.execute("ALTER TABLE queue_marks SET (fillfactor = 50)")
    # Of a large table a large order is a small part: without this its statistics would still say that nothing waits.
    op.execute("ALTER TABLE jobs SET (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000)")


def _create_order_tables() -> None:
    op.create_table(
        "templates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", JSONB, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=op.f("templates_tenant_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("templates_pkey")),
        sa.UniqueConstraint("tenant", "name", "version", name=op.f("templates_tenant_name_version_key")),
    )
    op.create_table(
        "loras",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("registered_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("loras_pkey")),
    )
    op.create_table(
        "column_mappings",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("columns", JSONB, nullable=False),
        sa.Column("saved_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=op.f("column_mappings_tenant_fkey")),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("column_mappings_pkey")),
    )


def _create_webhook_tables() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("secrets", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("rotated_at", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("disabled_at", MOMENT, nullable=True),
        sa.Column("disabled_why", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=op.f("webhook_endpoints_tenant_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_endpoints_pkey")),
    )
    op.create_index(op.f("webhook_endpoints_tenant_id_idx"), "webhook_endpoints", ["tenant", "id"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("replay", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", JSONB, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("succeeded", sa.Boolean(), nullable=False),
        sa.Column("answer", JSONB, nullable=True),
        sa.ForeignKeyConstraint(["endpoint_id"], ["webhook_endpoints.id"], name=op.f("webhook_deliveries_endpoint_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_deliveries_pkey")),
        sa.UniqueConstraint("endpoint_id", "event_id", "replay", name=op.f("webhook_deliveries_endpoint_id_event_id_replay_key")),
    )
    op.create_index(
        "webhook_deliveries_due_idx", "webhook_deliveries", ["endpoint_id", "due_at"], postgresql_where=sa.text("ended_at IS NULL")
    )
    op.create_index(op.f("webhook_deliveries_tenant_id_idx"), "webhook_deliveries", ["tenant", "id"])
    op.create_table(
        "webhook_cursor",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("tx", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_cursor_pkey")),
    )


def downgrade() -> None:
    op.execute(f"REVOKE UPDATE (deleted_at) ON assets FROM {APP}")
    created = [table for rights, tables in GRANTS.items() if "deleted_at" not in rights for table in tables]
    for table in ("webhook_deliveries", *(name for name in created if name != "webhook_deliveries")):
        op.drop_table(table)
    op.drop_column("audit_events", "tx")
    op.drop_index("assets_kept_idx", table_name="assets")
    op.drop_column("assets", "deleted_at")
    op.drop_index("batches_open_idx", table_name="batches")
    for name in JOB_INDEXES:
        op.drop_index(name, table_name="jobs")
    op.execute("ALTER TABLE jobs RESET (autovacuum_analyze_scale_factor, autovacuum_analyze_threshold)")
    op.drop_constraint(op.f("jobs_held_check"), "jobs")
    for table, columns in (("jobs", JOB_COLUMNS), ("batches", BATCH_COLUMNS)):
        for name in columns:
            op.drop_column(table, name)
    op.create_index(
        "jobs_waiting_by_checkpoint_idx", "jobs", ["lane", "checkpoint", "vft", "id"], postgresql_where=sa.text("status = 'queued'")
    )
    op.create_index("jobs_waiting_idx", "jobs", ["lane", "vft", "id"], postgresql_where=sa.text("status = 'queued'"))
