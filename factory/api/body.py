"""A request's body: small ones as bytes, orders in a temporary file, so that memory stays flat."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from factory.errors import TooLarge, UnsupportedMedia
from factory.intake.uploads import Body

SMALL = 1024 * 1024
IN_MEMORY = 2 * 1024 * 1024
WRITTEN_AT_ONCE = 512 * 1024


async def _spooled(request: Request) -> AsyncIterator[Body]:
    _plain(request)
    digest, size, pending = hashlib.sha256(), 0, bytearray()
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        async for chunk in request.stream():
            digest.update(chunk)
            size += len(chunk)
            pending += chunk
            if len(pending) >= WRITTEN_AT_ONCE:
                await run_in_threadpool(file.write, bytes(pending))
                pending.clear()
        await run_in_threadpool(file.write, bytes(pending))
        file.seek(0)
        yield Body(file, request.headers.get("content-type", ""), digest.hexdigest(), size)


async def _small(request: Request) -> bytes:
    _plain(request)
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > SMALL:
            raise TooLarge(f"one job's body holds at most {SMALL} bytes; many jobs go to /api/v1/batches")
    return bytes(content)


def _plain(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise UnsupportedMedia(f"Content-Encoding {encoding[:40]!r} is not read here; send the body as it is")


Spooled = Annotated[Body, Depends(_spooled)]
Small = Annotated[bytes, Depends(_small)]
