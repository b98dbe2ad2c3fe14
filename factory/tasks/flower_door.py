"""A password before every route of Flower: its own settings leave /metrics, /healthcheck and the static files open."""

from __future__ import annotations

import base64
import hmac
from typing import Any

from flower.app import Flower
from tornado.web import RequestHandler


class Unauthorized(RequestHandler):
    """Answers 401 to whatever was asked."""

    def check_xsrf_cookie(self) -> None:
        """Who has no password has no session to protect either."""

    def prepare(self) -> None:
        self.set_status(401)
        self.set_header("WWW-Authenticate", 'Basic realm="flower"')
        self.finish("Flower asks for its user and password.\n")


def lock_every_route(user: str, password: str) -> None:
    """Requests of this process find a handler only with the password, whatever routes Flower has or will have."""
    expected = b"Basic " + base64.b64encode(f"{user}:{password}".encode())
    find = Flower.find_handler

    def find_handler(self: Flower, request: Any, **kwargs: Any) -> Any:
        given = request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(given, expected):
            return self.get_handler_delegate(request, Unauthorized)
        return find(self, request, **kwargs)

    Flower.find_handler = find_handler
