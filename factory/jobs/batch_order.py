"""BatchOrder: what an order says of itself, and the row that it makes before its rows are counted."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from factory.domain.batch import Batch
from factory.domain.caller import Caller
from factory.domain.status import Priority


@dataclass(frozen=True)
class BatchOrder:
    """What an order says about itself, beside its rows. `reuse`: what was drawn before, or waits already, is not drawn again."""

    project: str
    external_id: str | None = None
    user: str | None = None
    campaign: str | None = None
    cost_centre: str | None = None
    tags: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    priority: Priority | None = None
    not_before: datetime | None = None
    deadline: datetime | None = None
    expires_at: datetime | None = None
    expires_in: int | None = None
    template: str | None = None
    catalogue: str | None = None
    reuse: bool = True
    retention: str = "standard"

    def as_row(self, caller: Caller, batch_id: uuid.UUID, moment: datetime, *, request_sha256: str) -> Batch:
        """A batch of no rows yet."""
        return Batch(
            id=batch_id,
            tenant=caller.tenant,
            external_id=self.external_id,
            request_sha256=request_sha256,
            project=self.project,
            key_id=caller.key_id,
            catalogue=self.catalogue,
            template=self.template,
            priority=(self.priority or Priority.BULK).value,
            deadline=self.deadline,
            retention=self.retention,
            rows_accepted=0,
            rows_refused=0,
            row_errors=[],
            created_at=moment,
            end_user=self.user,
            campaign=self.campaign,
            cost_centre=self.cost_centre,
            tags=list(self.tags),
            customer_metadata=dict(self.metadata),
            unread=False,
            problem=None,
            next_row=None,
            warnings=[],
        )
