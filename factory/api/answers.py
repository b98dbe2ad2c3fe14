"""Json: an answer that is already plain JSON values."""

from __future__ import annotations

import json
from typing import Any

import orjson
from starlette.responses import Response


def json_bytes(content: Any) -> bytes:
    """What is stored can always be read: what orjson does not write (numbers above 64 bits) the slower writer does."""
    try:
        return orjson.dumps(content)
    except orjson.JSONEncodeError:
        return json.dumps(content, default=str).encode()


class Json(Response):
    """No second pass through a response model."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json_bytes(content)
