"""orders that are taken before they are read"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

APP = "factory_app"
MOMENT = sa.DateTime(timezone=True)
JSONB = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    op.add_column("batches", sa.Column("unread", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("batches", sa.Column("problem", JSONB, nullable=True))
    op.add_column("batches", sa.Column("next_row", sa.Integer(), nullable=True))
    op.add_column("batches", sa.Column("warnings", JSONB, server_default="[]", nullable=False))
    op.create_table(
        "unread_orders",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("network", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("address", JSONB, nullable=False),
        sa.Column("form", JSONB, nullable=False),
        sa.Column("priority", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("unread_orders_batch_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("unread_orders_pkey")),
    )
    op.create_index(op.f("unread_orders_tenant_idx"), "unread_orders", ["tenant"])
    op.create_index(op.f("unread_orders_lease_until_idx"), "unread_orders", ["lease_until"])
    op.create_table(
        "unread_parts",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["unread_orders.batch_id"], name=op.f("unread_parts_batch_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("batch_id", "number", name=op.f("unread_parts_pkey")),
    )
    # They live for seconds: to press them costs more than it saves.
    op.execute("ALTER TABLE unread_parts ALTER COLUMN content SET STORAGE EXTERNAL")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON unread_orders TO {APP}")
    op.execute(f"GRANT SELECT, INSERT ON unread_parts TO {APP}")  # they go with their order


def downgrade() -> None:
    """Orders that nobody has read yet are lost with their tables: let them be read first."""
    op.drop_table("unread_parts")
    op.drop_table("unread_orders")
    for name in ("warnings", "next_row", "problem", "unread"):
        op.drop_column("batches", name)
