"""A cancel's receipt: what it ended, what it had cost, and how things stand now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from factory.api.answers import Json
from factory.api.once import Once
from factory.db import Database
from factory.jobs.answer_once import Answer, answer_once
from factory.jobs.cancel import CancelReceipt


def cancel_receipt(db: Database, once: Once, cancel: Callable[[], CancelReceipt], now: Callable[[], dict[str, Any]]) -> Response:
    """With a key, a repeat gets the first receipt; without, one that canceled nothing more."""

    def act(*_: object) -> Answer:
        receipt = asdict(cancel())
        return Answer(200, {**now(), "receipt": receipt})

    if once.stored_as is None:
        answer = act()
    else:
        answer = answer_once(db, tenant=once.tenant, key=once.stored_as, request_sha256=once.request_sha256, act=act)
    return Json(answer.body, answer.status_code, {"Idempotent-Replayed": "true"} if answer.replayed else None)
