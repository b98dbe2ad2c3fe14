"""first tables"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("was", sa.Text(), nullable=True),
        sa.Column("became", sa.Text(), nullable=True),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("audit_events_pkey")),
    )
    op.create_index(op.f("audit_events_job_id_id_idx"), "audit_events", ["job_id", "id"], unique=False)
    op.create_index(op.f("audit_events_tenant_action_id_idx"), "audit_events", ["tenant", "action", "id"], unique=False)
    op.create_index(op.f("audit_events_tenant_id_idx"), "audit_events", ["tenant", "id"], unique=False)
    op.create_table(
        "checkpoints",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("native_side", sa.Integer(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("checkpoints_pkey")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_sha256", sa.Text(), nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "key", name=op.f("idempotency_keys_pkey")),
    )
    op.create_index(op.f("idempotency_keys_created_at_idx"), "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "tenants",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name=op.f("tenants_slug_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("tenants_pkey")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("secret_sha256", sa.Text(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=op.f("api_keys_tenant_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("api_keys_pkey")),
        sa.UniqueConstraint("secret_sha256", name=op.f("api_keys_secret_sha256_key")),
    )
    op.create_table(
        "batches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("request_sha256", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.Column("rows_accepted", sa.Integer(), nullable=False),
        sa.Column("rows_refused", sa.Integer(), nullable=False),
        sa.Column("row_errors", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_user", sa.Text(), nullable=True),
        sa.Column("campaign", sa.Text(), nullable=True),
        sa.Column("cost_centre", sa.Text(), nullable=True),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("customer_metadata", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=op.f("batches_tenant_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("batches_pkey")),
    )
    op.create_index(op.f("batches_tenant_external_id_idx"), "batches", ["tenant", "external_id"], unique=True)
    op.create_index(op.f("batches_tenant_id_idx"), "batches", ["tenant", "id"], unique=False)
    op.create_table(
        "name_counters",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=op.f("name_counters_tenant_fkey")),
        sa.PrimaryKeyConstraint("tenant", "project", "day", name=op.f("name_counters_pkey")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("request_sha256", sa.Text(), nullable=True),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.Column("network", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=True),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("vft", sa.Double(), nullable=False),
        sa.Column("checkpoint", sa.Text(), nullable=False),
        sa.Column("requested", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("spec", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("warnings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lost_leases", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("avoid_worker", sa.Text(), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("dead_lettered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_user", sa.Text(), nullable=True),
        sa.Column("campaign", sa.Text(), nullable=True),
        sa.Column("cost_centre", sa.Text(), nullable=True),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("customer_metadata", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("(status = 'running') = (lease_until IS NOT NULL AND worker IS NOT NULL)", name=op.f("jobs_leased_check")),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'succeeded', 'rejected', 'failed', 'canceled', 'expired')", name=op.f("jobs_status_check")
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("jobs_batch_id_fkey")),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=op.f("jobs_tenant_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("jobs_pkey")),
        sa.UniqueConstraint("tenant", "project", "day", "seq", name=op.f("jobs_tenant_project_day_seq_key")),
    )
    op.create_index(op.f("jobs_batch_id_row_no_idx"), "jobs", ["batch_id", "row_no"], unique=False)
    op.create_index(
        "jobs_customer_metadata_idx",
        "jobs",
        ["customer_metadata"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"customer_metadata": "jsonb_path_ops"},
    )
    op.create_index(
        "jobs_dead_idx", "jobs", ["tenant", "dead_lettered_at"], unique=False, postgresql_where=sa.text("dead_lettered_at IS NOT NULL")
    )
    op.create_index(
        "jobs_expiring_idx", "jobs", ["expires_at"], unique=False, postgresql_where=sa.text("status = 'queued' AND expires_at IS NOT NULL")
    )
    op.create_index("jobs_running_idx", "jobs", ["worker"], unique=False, postgresql_where=sa.text("status = 'running'"))
    op.create_index("jobs_tags_idx", "jobs", ["tags"], unique=False, postgresql_using="gin")
    op.create_index(op.f("jobs_tenant_external_id_idx"), "jobs", ["tenant", "external_id"], unique=True)
    op.create_index(op.f("jobs_tenant_id_idx"), "jobs", ["tenant", "id"], unique=False)
    op.create_index(op.f("jobs_tenant_sku_id_idx"), "jobs", ["tenant", "sku", "id"], unique=False)
    op.create_index(op.f("jobs_tenant_status_id_idx"), "jobs", ["tenant", "status", "id"], unique=False)
    op.create_index(
        "jobs_waiting_by_checkpoint_idx",
        "jobs",
        ["lane", "checkpoint", "vft", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index("jobs_waiting_idx", "jobs", ["lane", "vft", "id"], unique=False, postgresql_where=sa.text("status = 'queued'"))
    op.create_table(
        "assets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("assets_job_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("assets_pkey")),
        sa.UniqueConstraint("job_id", name=op.f("assets_job_id_key")),
        sa.UniqueConstraint("key", name=op.f("assets_key_key")),
    )
    op.create_index(op.f("assets_batch_id_idx"), "assets", ["batch_id"], unique=False)
    op.create_index(op.f("assets_tenant_id_idx"), "assets", ["tenant", "id"], unique=False)
    op.create_table(
        "generations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("network", sa.Text(), nullable=True),
        sa.Column("end_user", sa.Text(), nullable=True),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("negative_prompt", sa.Text(), nullable=True),
        sa.Column("requested", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("effective", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("checkpoint", sa.Text(), nullable=False),
        sa.Column("checkpoint_sha256", sa.Text(), nullable=False),
        sa.Column("seed", sa.Text(), nullable=False),
        sa.Column("evaluations", sa.Integer(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("seconds", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("label_profile", sa.Text(), nullable=False),
        sa.Column("asset_key", sa.Text(), nullable=False),
        sa.Column("asset_sha256", sa.Text(), nullable=False),
        sa.Column("asset_bytes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("generations_job_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("generations_pkey")),
        sa.UniqueConstraint("job_id", name=op.f("generations_job_id_key")),
    )
    op.create_index(op.f("generations_asset_sha256_idx"), "generations", ["asset_sha256"], unique=False)
    op.create_index(op.f("generations_batch_id_id_idx"), "generations", ["batch_id", "id"], unique=False)
    op.create_index(op.f("generations_tenant_id_idx"), "generations", ["tenant", "id"], unique=False)
    op.create_index(op.f("generations_tenant_sku_id_idx"), "generations", ["tenant", "sku", "id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("generations_tenant_sku_id_idx"), table_name="generations")
    op.drop_index(op.f("generations_tenant_id_idx"), table_name="generations")
    op.drop_index(op.f("generations_batch_id_id_idx"), table_name="generations")
    op.drop_index(op.f("generations_asset_sha256_idx"), table_name="generations")
    op.drop_table("generations")
    op.drop_index(op.f("assets_tenant_id_idx"), table_name="assets")
    op.drop_index(op.f("assets_batch_id_idx"), table_name="assets")
    op.drop_table("assets")
    op.drop_index("jobs_waiting_idx", table_name="jobs", postgresql_where=sa.text("status = 'queued'"))
    op.drop_index("jobs_waiting_by_checkpoint_idx", table_name="jobs", postgresql_where=sa.text("status = 'queued'"))
    op.drop_index(op.f("jobs_tenant_status_id_idx"), table_name="jobs")
    op.drop_index(op.f("jobs_tenant_sku_id_idx"), table_name="jobs")
    op.drop_index(op.f("jobs_tenant_id_idx"), table_name="jobs")
    op.drop_index(op.f("jobs_tenant_external_id_idx"), table_name="jobs")
    op.drop_index("jobs_tags_idx", table_name="jobs", postgresql_using="gin")
    op.drop_index("jobs_running_idx", table_name="jobs", postgresql_where=sa.text("status = 'running'"))
    op.drop_index("jobs_expiring_idx", table_name="jobs", postgresql_where=sa.text("status = 'queued' AND expires_at IS NOT NULL"))
    op.drop_index("jobs_dead_idx", table_name="jobs", postgresql_where=sa.text("dead_lettered_at IS NOT NULL"))
    op.drop_index(
        "jobs_customer_metadata_idx", table_name="jobs", postgresql_using="gin", postgresql_ops={"customer_metadata": "jsonb_path_ops"}
    )
    op.drop_index(op.f("jobs_batch_id_row_no_idx"), table_name="jobs")
    op.drop_table("jobs")
    op.drop_table("name_counters")
    op.drop_index(op.f("batches_tenant_id_idx"), table_name="batches")
    op.drop_index(op.f("batches_tenant_external_id_idx"), table_name="batches")
    op.drop_table("batches")
    op.drop_table("api_keys")
    op.drop_table("tenants")
    op.drop_index(op.f("idempotency_keys_created_at_idx"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_table("checkpoints")
    op.drop_index(op.f("audit_events_tenant_id_idx"), table_name="audit_events")
    op.drop_index(op.f("audit_events_tenant_action_id_idx"), table_name="audit_events")
    op.drop_index(op.f("audit_events_job_id_id_idx"), table_name="audit_events")
    op.drop_table("audit_events")
