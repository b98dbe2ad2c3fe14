"""Rows are asked for by our id; people also know them by their own."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from factory.cli.client import Client


def our_id(client: Client, kind: str, name: str | None) -> str | None:
    """Our id of a batch or job that may be named by the client's own id. `kind` is batches or jobs. Raises Failed when there is none."""
    if name is None:
        return None
    try:
        return str(uuid.UUID(name))
    except ValueError:
        return str(client.get(f"/{kind}/{quote(name, safe='')}")["id"])
