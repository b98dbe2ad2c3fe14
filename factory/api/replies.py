"""The reply to an order: at once with 202, or after a wait with what became of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request
from starlette.responses import Response

from factory.api.answers import Json
from factory.api.wait import until_done
from factory.jobs.answer_once import Answer

Look = Callable[[], tuple[dict[str, Any], bool]]


async def reply(request: Request, answer: Answer, look: Callable[[str], Look], patience: float) -> Response:
    """`look` gets the id of what was ordered. A repeat says so in `Idempotent-Replayed`."""
    headers = {"Location": answer.body["links"]["self"], **answer.headers}
    if answer.replayed:
        headers["Idempotent-Replayed"] = "true"
    if not patience:
        return Json(answer.body, answer.status_code, headers)
    waited = await reply_when_done(request, look(answer.body["id"]), patience)
    waited.headers.update(headers)
    return waited


async def reply_when_done(request: Request, look: Look, patience: float) -> Response:
    """Without patience simply the present state; with it, 200 at the end and 202 before."""
    body, done = await until_done(request, look, patience)
    if not patience:
        return Json(body)
    return Json(body, 200 if done else 202, {"Preference-Applied": f"wait={patience:g}"})
