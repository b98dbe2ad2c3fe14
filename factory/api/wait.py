"""`Prefer: wait=N` (RFC 7240) and `?wait=N`: one call instead of polling, for at most a minute."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Annotated, TypeVar

import anyio
from fastapi import Depends, Header, Query, Request
from starlette.concurrency import run_in_threadpool

from factory.api.prefer import preferences

LONGEST = 60.0
FIRST_PAUSE, LAST_PAUSE = 0.1, 0.5
SECONDS = re.compile(r"[0-9]{1,9}")
Seen = TypeVar("Seen")


async def _patience(
    prefer: Annotated[list[str] | None, Header(description="`wait=N`: answer when the work is done, after N seconds at the latest")] = None,
    wait: Annotated[float | None, Query(ge=0, allow_inf_nan=False, description="the same; at most 60")] = None,
) -> float:
    said = preferences(prefer or []).get("wait", "")
    asked = wait if wait is not None else float(said) if SECONDS.fullmatch(said) else 0.0
    return min(asked, LONGEST)


Patience = Annotated[float, Depends(_patience)]


async def until_done(request: Request, look: Callable[[], tuple[Seen, bool]], seconds: float) -> tuple[Seen, bool]:
    """Look again and again; `look` says what it saw and whether that is the end. Stops early when the client left."""
    end, pause = time.monotonic() + seconds, FIRST_PAUSE
    while True:
        seen, done = await run_in_threadpool(look)
        left = end - time.monotonic()
        if done or left <= 0 or await request.is_disconnected():
            return seen, done
        await anyio.sleep(min(pause, left))
        pause = min(pause * 1.5, LAST_PAUSE)
