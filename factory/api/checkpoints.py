"""Checkpoints: which models may be ordered."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from factory.api import represent
from factory.api.answers import Json
from factory.api.deps import Db, Reader
from factory.jobs.checkpoints import list_checkpoints

router = APIRouter(prefix="/api/v1/checkpoints", tags=["checkpoints"])


@router.get("")
def get_checkpoints(caller: Reader, db: Db) -> Response:  # noqa: ARG001 - asking for the caller is what guards the route
    """All of them; there are few."""
    found = [represent.checkpoint(one) for one in list_checkpoints(db).values()]
    return Json(represent.page(found, None, limit=len(found) + 1))
