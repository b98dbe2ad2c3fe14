"""Caller: who sends a request, as the audit log will name them."""

from __future__ import annotations

import ipaddress
import uuid
from dataclasses import dataclass

from factory.domain.audit_event import Actor


@dataclass(frozen=True)
class Caller:
    """`name` is the readable prefix of the API key; `network` the class of the address they call from, never the address."""

    tenant: str
    name: str
    key_id: uuid.UUID | None = None
    scopes: frozenset[str] = frozenset()
    network: str | None = None

    @property
    def actor(self) -> Actor:
        return Actor("key", self.name)


def network_class(address: str | None) -> str | None:
    """loopback, private or public (RFC 6890); None for what is no IP address."""
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return None
    return "loopback" if ip.is_loopback else "private" if ip.is_private else "public"
