"""A sample message for trying a notifier out: a batch that ended, with nothing of any customer in it."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from factory.cli.exit_codes import Usage
from factory.cli.settings_here import settings_here
from factory.errors import FactoryError
from factory.notify import open_notifier
from factory.notify.card import card_of
from factory.notify.courier import Courier
from factory.notify.guard import PUBLIC, Reach, read_networks
from factory.notify.message import Message, Request
from factory.notify.standard import new_secret

NOWHERE = "https://example.com/hook"
COUNTS = {"succeeded": 297, "rejected": 2, "failed": 1}


@dataclass(frozen=True)
class Sample:
    """A request, and how it is shown."""

    request: Request

    @property
    def as_dict(self) -> dict[str, Any]:
        return {"method": "POST", "url": self.request.url, "headers": self.request.headers, "body": json.loads(self.request.content)}

    @property
    def as_text(self) -> str:
        head = "\n".join(f"{name}: {value}" for name, value in self.request.headers.items())
        return f"POST {self.request.url}\n{head}\n\n{json.dumps(self.as_dict['body'], ensure_ascii=False, indent=2)}"


def sample_request(kind: str, *, url: str = "", secret: str | None = None) -> Sample:
    """Signed as a real one. Raises Invalid for a secret that cannot sign."""
    notifier, now = open_notifier(kind), datetime.now(UTC)
    if secret is not None:
        notifier.check_secret(secret)
    secrets = [secret] if secret is not None else [new_secret()] if kind == "standard" else []
    batch = str(uuid.uuid4())
    link = f"https://example.com/api/v1/batches/{batch}"
    data = {
        "object": "batch",
        "id": batch,
        "external_id": "spring-2026",
        "status": "partially_completed",
        "counts": COUNTS,
        "links": {"self": link},
    }
    payload = {"type": "batch.ended", "timestamp": now.isoformat(), "data": data}
    message = Message(str(uuid.uuid4()), payload, card_of(payload))
    return Sample(notifier.request(message, url=url or NOWHERE, secrets=secrets, at=now))


def send_sample(kind: str, sample: Sample) -> dict[str, Any]:
    """From this machine, to what the settings here let webhooks reach; without settings, to public addresses only."""
    request, courier = sample.request, Courier(_reach())
    try:
        answer = courier.post(request.url, content=request.content, headers=request.headers)
    except FactoryError as fault:
        return {"delivered": False, "code": fault.code, "status": None, "detail": str(fault)}
    return asdict(open_notifier(kind).read(answer))


def _reach() -> Reach:
    try:
        settings = settings_here()
    except Usage:  # a machine without a stack may try a chat out, too
        return PUBLIC
    try:
        return Reach(read_networks(settings.webhook_networks), plain_http=settings.webhook_plain_http)
    except ValueError as fault:
        raise Usage(f"settings: FACTORY_WEBHOOK_NETWORKS: {fault}") from fault
