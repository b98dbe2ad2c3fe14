"""what has waited longest is the first of an index"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("jobs_waiting_since_idx", "jobs", ["ready_at"], postgresql_where=sa.text("status = 'queued' AND hold IS NULL"))


def downgrade() -> None:
    op.drop_index("jobs_waiting_since_idx", "jobs")
