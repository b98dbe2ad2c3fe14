"""A cancel's receipt: what it ended, what it had cost, and how things stand now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session
from starlette.responses import Response

from factory.api.answers import Json
from factory.api.once import Once
from factory.db import Database
from factory.jobs.answer_once import Answer, answer_once
from factory.jobs.cancel import CancelReceipt


def cancel_receipt(
    db: Database,
    once: Once,
    cancel: Callable[[Session, ColumnElement[Any]], CancelReceipt],
    now: Callable[[Session], dict[str, Any]],
) -> Response:
    """With a key, a repeat gets the first receipt; without, one that canceled nothing more. All in one transaction."""

    def act(session: Session, moment: ColumnElement[Any]) -> Answer:
        receipt = asdict(cancel(session, moment))
        return Answer(200, {**now(session), "receipt": receipt})

    answer = answer_once(db, tenant=once.tenant, key=once.stored_as, request_sha256=once.request_sha256, act=act)
    return Json(answer.body, answer.status_code, {"Idempotent-Replayed": "true"} if answer.replayed else None)
