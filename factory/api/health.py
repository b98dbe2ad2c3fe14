"""Health: is the process alive, may it get requests, and how is each part."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from factory import __version__
from factory.api.answers import Json

router = APIRouter(tags=["health"])
PATIENCE = 2.0
AT_ONCE = 8
Probe = Callable[[], None]


@router.get("/healthz")
async def get_healthz() -> Response:
    """The process answers. Asks nobody else, so that a slow database restarts no API."""
    return Json({"status": "ok"})


@router.get("/readyz")
async def get_readyz(request: Request) -> Response:
    """Database, storage and rules are there. Redis is not asked: orders are taken without it."""
    parts = await _probe({name: probe for name, probe in request.app.state.probes.items() if name != "redis"})
    failed = [name for name, part in parts.items() if part["status"] != "ok"]
    return Json({"status": _worst(parts), "components": parts, "failed": failed}, 503 if failed else 200)


@router.get("/api/v1/health")
async def get_health(request: Request) -> Response:
    """Versions and every part. Open, so it names no address."""
    parts = await _probe(request.app.state.probes)
    rules = {"policy": request.app.state.policy_version}
    return Json({"status": _worst(parts), "version": __version__, "versions": rules, "components": parts})


def _worst(parts: dict[str, Any]) -> str:
    return "ok" if all(part["status"] == "ok" for part in parts.values()) else "degraded"


async def _probe(probes: dict[str, Probe]) -> dict[str, Any]:
    """All at once, each with its own patience; a stuck one keeps no thread that requests need."""
    seen: dict[str, Any] = {name: {"status": "timeout", "seconds": PATIENCE} for name in probes}
    limiter = anyio.CapacityLimiter(AT_ONCE)

    async def ask(name: str, probe: Probe) -> None:
        started = time.perf_counter()
        with anyio.move_on_after(PATIENCE):
            try:
                await anyio.to_thread.run_sync(probe, abandon_on_cancel=True, limiter=limiter)
                seen[name] = {"status": "ok", "seconds": round(time.perf_counter() - started, 4)}
            except Exception as fault:
                seen[name] = {"status": "down", "error": getattr(fault, "code", type(fault).__name__)}

    async with anyio.create_task_group() as group:
        for name, probe in probes.items():
            group.start_soon(ask, name, probe)
    return seen
