"""Files: what a signed link of the folder storage opens. The signature is the key; no other is asked for."""

from __future__ import annotations

import mimetypes
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from factory.api.deps import Config, Store
from factory.storage import content_disposition, verify_link

router = APIRouter(prefix="/files", tags=["files"])
Text = Annotated[str, Query(max_length=400)]


@router.head("/{key:path}", include_in_schema=False)
@router.get("/{key:path}")
def get_file(key: str, expires: Text, name: Text, signature: Text, storage: Store, settings: Config) -> Response:
    """Raises Forbidden for a link that was changed or has ended."""
    verify_link(settings.link_secret.get_secret_value(), key, expires=expires, name=name, signature=signature)
    content = storage.get(key)
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    headers = {"Content-Disposition": content_disposition(name), "Cache-Control": "private, max-age=3600, immutable"}
    return Response(content, headers=headers, media_type=media_type)
