"""FeishuPictures: thumbnails become keys that a card of the same company may show. Needs an app's credentials."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from factory.errors import Transient
from factory.notify.courier import Courier
from factory.notify.message import as_json, by_body, excerpt

HOME = "https://open.feishu.cn/open-apis"


class FeishuPictures:
    """`home` is the operator's setting and never a customer's: the app's secret goes there."""

    def __init__(self, courier: Courier, app_id: str, app_secret: str, home: str = HOME) -> None:
        self._courier, self._home = courier, home.rstrip("/")
        self._credentials = as_json({"app_id": app_id, "app_secret": app_secret})

    def upload(self, jpeg: bytes) -> str:
        """The picture's key. Raises Transient when Feishu does not take it, Unreachable, Invalid."""
        headers = {"Content-Type": "application/json; charset=utf-8"}
        token = _part(self._ask("/auth/v3/tenant_access_token/internal", self._credentials, headers), "tenant_access_token")
        boundary = secrets.token_hex(16)
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Authorization": f"Bearer {token}"}
        return _part(self._ask("/im/v1/images", _form(boundary, jpeg), headers), "data", "image_key")

    def _ask(self, path: str, content: bytes, headers: Mapping[str, str]) -> Any:
        answer = self._courier.post(self._home + path, content=content, headers=headers)
        if not by_body(answer, ("code",), gone=frozenset(), busy=frozenset()).delivered:
            raise Transient(f"Feishu refused {path}: {answer.status} {excerpt(answer)}")
        return json.loads(answer.body)


def _part(body: Any, *names: str) -> str:
    for name in names:
        body = body.get(name) if isinstance(body, dict) else None
    if not isinstance(body, str) or not body.isascii():
        raise Transient(f"Feishu answered without {'.'.join(names)}")
    return body


def _form(boundary: str, jpeg: bytes) -> bytes:
    part = f"--{boundary}\r\nContent-Disposition: form-data; name="
    start = f'{part}"image_type"\r\n\r\nmessage\r\n{part}"image"; filename="picture.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    return start.encode() + jpeg + f"\r\n--{boundary}--\r\n".encode()
