"""What nobody foresaw: logged in full, told to the client without a detail."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from factory.api.problems import problem
from factory.logs import get_logger

log = get_logger(__name__)


class Unexpected:
    """Innermost, so that the answer still gets its headers and is counted."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception:
            log.exception("http.failed", method=scope.get("method"), path=scope.get("path"))
            if begun or scope["type"] != "http":
                raise
            request_id = scope.get("request_id", "")
            detail = (
                "something broke on our side; it may or may not have been carried out. Look it up, or repeat it with the same "
                "Idempotency-Key or external_id. Name the request id when you report it."
            )
            await problem(500, "internal_error", detail, request_id=request_id)(scope, receive, send)
