"""No request is larger than the limit, whether it says so beforehand or not."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from factory.api.problems import of_fault
from factory.errors import TooLarge


class BodyLimit:
    """By Content-Length before a byte is read; by counting where there is none."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdigit() and int(announced) > self.limit:
            await of_fault(Request(scope), self._fault(f"{announced} bytes"))(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.limit:
                raise self._fault("more")
            return message

        await self.app(scope, counted, send)

    def _fault(self, size: str) -> TooLarge:
        return TooLarge(f"a body holds at most {self.limit} bytes, this one has {size}; split the order")
