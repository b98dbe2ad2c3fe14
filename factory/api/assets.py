"""Assets: finished files, and links to them: fresh ones, and one that lasts as long as the picture is kept."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import RedirectResponse, Response

from factory.api import represent
from factory.api.answers import Json
from factory.api.deps import Db, Reader, To
from factory.jobs.find_assets import find_asset

router = APIRouter(prefix="/api/v1/assets", tags=["assets"])
Seconds = Annotated[int | None, Query(ge=1, le=604_800, description="life of the signed link")]


@router.get("/{asset_id}")
def get_asset(asset_id: uuid.UUID, caller: Reader, db: Db, links: To, seconds: Seconds = None) -> Response:
    """What it is, and a signed link that lives as long as asked."""
    return Json(represent.asset_of(find_asset(db, tenant=caller.tenant, asset_id=asset_id), links, seconds=seconds))


@router.get("/{asset_id}/content")
def get_content(asset_id: uuid.UUID, caller: Reader, db: Db, links: To, seconds: Seconds = None) -> Response:
    """The permanent link, for as long as the picture is kept: asks for the key, then forwards to a freshly signed one."""
    asset = find_asset(db, tenant=caller.tenant, asset_id=asset_id)
    return RedirectResponse(links.signed(asset, seconds), 307)
