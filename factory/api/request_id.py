"""Each request gets an id, in the answer and in every log line; `traceparent` is handed back as it came."""

from __future__ import annotations

import logging
import re
import time
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from factory.logs import get_logger

ACCEPTED = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
log = get_logger(__name__)


class RequestId:
    """An `X-Request-Id` from the client is kept when it is harmless; otherwise a fresh one is made."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = Headers(scope=scope)
        given, trace = sent.get("x-request-id", ""), sent.get("traceparent", "")
        request_id = given if ACCEPTED.fullmatch(given) else str(uuid.uuid4())
        scope["request_id"] = request_id
        started, status = time.perf_counter(), 0

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                if TRACEPARENT.fullmatch(trace):
                    headers["traceparent"] = trace
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, named)
            finally:
                # The path without its query: links carry signatures there.
                seconds = round(time.perf_counter() - started, 4)
                level = logging.DEBUG if scope["path"] in PROBES else logging.INFO
                log.log(level, "http.answered", method=scope["method"], path=scope["path"], status=status, seconds=seconds)
