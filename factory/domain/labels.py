"""What a customer may write on an order to find it again."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Mapped


class CustomerLabels:
    """Columns shared by batches and jobs: all filterable, none with a meaning to the factory."""

    end_user: Mapped[str | None]
    campaign: Mapped[str | None]
    cost_centre: Mapped[str | None]
    tags: Mapped[list[str]]
    customer_metadata: Mapped[dict[str, Any]]
