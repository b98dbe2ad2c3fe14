"""Caller: who sends a request, as the audit log will name them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from factory.domain.audit_event import Actor


@dataclass(frozen=True)
class Caller:
    """`name` is the readable prefix of the API key."""

    tenant: str
    name: str
    key_id: uuid.UUID | None = None
    scopes: frozenset[str] = frozenset()

    @property
    def actor(self) -> Actor:
        return Actor("key", self.name)
