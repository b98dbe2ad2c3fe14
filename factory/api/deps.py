"""What routes ask for: the caller behind a key, and the stations that create_app put on the application."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from factory.api.links import Links
from factory.db import Database
from factory.domain.api_key import Scope, hash_secret
from factory.domain.caller import Caller, network_class
from factory.errors import Forbidden, Invalid, Unauthorized
from factory.jobs.admit import Admission
from factory.jobs.keys import recognise
from factory.settings import Settings
from factory.storage import Storage

REMEMBERED_SECONDS = 3.0
MOST_REMEMBERED = 4096
BEARER = HTTPBearer(auto_error=False, description="`factory keys create` makes one")


class Doorkeeper:
    """Recognises keys; remembers each for three seconds, so a revoked key ends within that time."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: dict[str, tuple[Caller, float]] = {}
        self._lock = threading.Lock()

    def remembered(self, secret: str) -> Caller | None:
        known = self._known.get(hash_secret(secret))
        return known[0] if known and known[1] > time.monotonic() else None

    def ask(self, secret: str) -> Caller:
        """Raises Unauthorized, DatabaseDown."""
        caller = recognise(self._db, secret)
        with self._lock:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[hash_secret(secret)] = (caller, time.monotonic() + REMEMBERED_SECONDS)
        return caller


def needs(*scopes: Scope) -> Callable[..., Awaitable[Caller]]:
    """A dependency: the caller, who holds at least one of `scopes`. Raises Unauthorized, Forbidden."""

    async def caller(request: Request, sent: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]) -> Caller:
        if sent is None or not sent.credentials:
            raise Unauthorized
        keeper: Doorkeeper = request.app.state.doorkeeper
        found = keeper.remembered(sent.credentials)
        if found is None:
            found = await run_in_threadpool(keeper.ask, sent.credentials)
        if found.scopes.isdisjoint(scopes):
            raise Forbidden(f"this key lacks the scope {' or '.join(scopes)}; it has {', '.join(sorted(found.scopes)) or 'none'}")
        return replace(found, network=network_class(request.client.host if request.client else None))

    return caller


async def no_nul(request: Request) -> None:
    """No text of ours may hold NUL: Postgres has no place for it."""
    if "\x00" in request.url.path or any("\x00" in part for pair in request.query_params.multi_items() for part in pair):
        raise Invalid("the address holds a NUL character (%00); remove it", code="invalid_value")


def _state(name: str) -> Any:
    async def station(request: Request) -> Any:
        return getattr(request.app.state, name)

    return Depends(station)


Db = Annotated[Database, _state("db")]
Store = Annotated[Storage, _state("storage")]
Config = Annotated[Settings, _state("settings")]
Admit = Annotated[Callable[[], Admission], _state("admission")]
Ring = Annotated[Callable[[int], None], _state("ring")]
WakeReader = Annotated[Callable[[], None], _state("wake_reader")]
To = Annotated[Links, _state("links")]
Writer = Annotated[Caller, Depends(needs(Scope.JOBS_WRITE))]
Reader = Annotated[Caller, Depends(needs(Scope.JOBS_READ))]
Auditor = Annotated[Caller, Depends(needs(Scope.AUDIT_READ))]
Operator = Annotated[Caller, Depends(needs(Scope.OPS))]
