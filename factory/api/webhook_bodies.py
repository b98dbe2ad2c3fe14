"""What webhooks are ordered with, and how they and their deliveries are shown: never with a secret, but for the moment it is made."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from factory.api.links import Links
from factory.api.queries import PageQuery
from factory.api.represent import plain
from factory.domain.moment import Moment
from factory.domain.webhook import WebhookDelivery, WebhookEndpoint

DEFAULT_EVENTS = ["batch.ended"]


class WebhookOrder(BaseModel):
    """`kind` standard signs with `secret`, or with one that is made; feishu and dingtalk with the one their robot's page shows."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: str = Field(max_length=2048, description="https on port 443")
    kind: str = Field("standard", description="standard, feishu, wecom or dingtalk")
    events: list[str] = Field(default_factory=lambda: list(DEFAULT_EVENTS), description="names such as batch.ended, job.*, or *")
    secret: str | None = Field(None, max_length=200)


class RotationOrder(BaseModel):
    """Without a secret one is made, for kind standard."""

    model_config = ConfigDict(extra="forbid", strict=True)

    secret: str | None = Field(None, max_length=200)


class ReplayOrder(BaseModel):
    """ISO 8601, UTC unless it says otherwise."""

    model_config = ConfigDict(extra="forbid")

    since: Moment


class DeliveryQuery(PageQuery):
    """`unacknowledged=true`: what the receiver never took."""

    unacknowledged: bool = False


def endpoint(row: WebhookEndpoint, links: Links, *, with_secret: bool = False) -> dict[str, Any]:
    here = links.to("webhooks", row.id)
    return {
        "object": "webhook",
        "id": str(row.id),
        "kind": row.kind,
        "url": shown(row.url),
        "events": row.events,
        "status": "disabled" if row.disabled_at else "enabled",
        "signed": bool(row.secrets),
        **({"secret": row.secrets[0]} if with_secret and row.secrets else {}),
        **{name: plain(getattr(row, name)) for name in ("created_at", "rotated_at", "disabled_at", "disabled_why")},
        "links": {"self": here, **{name: f"{here}/{name}" for name in ("deliveries", "rotate", "test", "replay", "enable", "disable")}},
    }


def delivery(row: WebhookDelivery, links: Links) -> dict[str, Any]:
    """`next_attempt_at` is there while it has not ended."""
    state = "delivered" if row.succeeded else "waiting" if row.ended_at is None else "failed"
    here = links.to("webhooks", row.endpoint_id, "deliveries", row.id)
    due: datetime | None = row.due_at if row.ended_at is None else None
    return {
        "object": "delivery",
        "id": str(row.id),
        "webhook_id": str(row.endpoint_id),
        "event_id": row.event_id or None,
        "type": row.kind,
        "status": state,
        "attempts": row.attempts,
        "is_replay": row.replay > 0 and row.event_id > 0,
        "created_at": plain(row.created_at),
        "ended_at": plain(row.ended_at),
        "next_attempt_at": plain(due),
        "answer": row.answer,
        "payload": row.payload,
        "links": {"self": here, "replay": f"{here}/replay", "webhook": links.to("webhooks", row.endpoint_id)},
    }


def shown(url: str) -> str:
    """Where it leads, without what gives the right to write there: robots have a key in the query or at the end of the path."""
    parts = urlsplit(url)
    start, slash, last = parts.path.rstrip("/").rpartition("/")
    path = f"{start}{slash}{last[:4]}…" if len(last) > 8 else parts.path
    named = (pair.partition("=") for pair in parts.query.split("&"))
    query = "&".join(f"{name}=…" if equals else "…" for name, equals, _ in named) if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{path}" + (f"?{query}" if query else "")
