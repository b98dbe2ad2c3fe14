"""A receiver of webhooks on this machine: programs that take, refuse, dawdle and flood, and robots of three chats that check what they get."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from factory.notify.guard import Reach, read_networks

HERE = Reach(read_networks("127.0.0.0/8"))
FEISHU_SECRET, DINGTALK_SECRET, WECOM_KEY = "feishu-secret-1", "SECdingtalk-secret-1", "693a91f6-7aaa-4bc4-97a0-0ec2sifa5aaa"
APP_ID, APP_SECRET, TOKEN = "cli_test", "app-secret", "t-token"
OK = {"errcode": 0, "errmsg": "ok"}


@dataclass
class Received:
    """One request as it came."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Script:
    """What /scripted answers, one after the other; the last one stays."""

    answers: list[tuple[int, dict[str, str]]] = field(default_factory=lambda: [(200, {})])


class Receiver(ThreadingHTTPServer):
    """`received` is what came, in order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.received: list[Received] = []
        self.script = Script()
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def at(self, path: str) -> list[Received]:
        return [one for one in self.received if one.path == path]


@contextmanager
def running_receiver(certificate: Path | None = None) -> Iterator[Receiver]:
    """With a certificate and its key it speaks TLS."""
    receiver = Receiver()
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        receiver.socket = tls.wrap_socket(receiver.socket, server_side=True)
    threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield receiver
    receiver.closing.set()
    receiver.shutdown()
    receiver.server_close()


class Answers(BaseHTTPRequestHandler):
    """By path."""

    server: Receiver

    def do_POST(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        got = Received(parts.path, query, {name.lower(): value for name, value in self.headers.items()}, body)
        self.server.received.append(got)
        special = {"/slow": self._slow, "/drip": self._drip, "/huge": self._huge, "/garbage": self._garbage}
        if parts.path in special:
            special[parts.path]()
        elif parts.path == "/scripted":
            answers = self.server.script.answers
            status, headers = answers.pop(0) if len(answers) > 1 else answers[0]
            self._answer(status, b"", headers)
        elif parts.path in PROGRAMS:
            self._answer(*PROGRAMS[parts.path])
        else:
            self._answer(200, json.dumps(ROBOTS[parts.path](got), ensure_ascii=False).encode())

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _slow(self) -> None:
        self.server.closing.wait(90)

    def _drip(self) -> None:
        """A header that never ends, one letter at a time."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not self.server.closing.wait(0.05):
            self.wfile.write(b"a")
            self.wfile.flush()

    def _huge(self) -> None:
        """A body that never ends."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while not self.server.closing.is_set():
            self.wfile.write(b"x" * 65536)

    def _garbage(self) -> None:
        self.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")

    def handle(self) -> None:
        """Receivers that hang up on us are part of the test."""
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Silent."""


PROGRAMS: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "/ok": (204, b"", {}),
    "/gone": (410, b"not here any more", {}),
    "/broken": (500, b"Traceback \x00\x1b[31m", {}),
    "/busy": (429, b"", {"Retry-After": "120"}),
    "/resting": (503, b"", {"Retry-After": "9999999"}),
    "/redirect": (302, b"", {"Location": "/ok"}),
}


def feishu(got: Received) -> dict[str, Any]:
    """Errors as the custom robot tells them, always with HTTP 200."""
    body = got.json
    key = f"{body.get('timestamp')}\n{FEISHU_SECRET}".encode()
    if body.get("sign") != base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode():
        return {"code": 19021, "msg": "sign match fail or timestamp is not within one hour from current time"}
    card = body.get("card", {})
    if body.get("msg_type") != "interactive" or not card.get("elements") or card["header"]["title"]["tag"] != "plain_text":
        return {"code": 9499, "msg": "Bad Request", "data": {}}
    return {"code": 0, "msg": "success", "data": {}, "StatusCode": 0, "StatusMessage": "success"}


def feishu_token(got: Received) -> dict[str, Any]:
    good = got.json == {"app_id": APP_ID, "app_secret": APP_SECRET}
    return {"code": 0, "msg": "ok", "tenant_access_token": TOKEN, "expire": 7200} if good else {"code": 10003, "msg": "invalid param"}


def feishu_image(got: Received) -> dict[str, Any]:
    boundary = got.headers["content-type"].partition("boundary=")[2].encode()
    parts = got.body.split(b"--" + boundary)
    whole = got.headers.get("authorization") == f"Bearer {TOKEN}" and parts[-1] == b"--\r\n" and len(parts) == 4
    if not whole or b'name="image_type"\r\n\r\nmessage\r\n' not in parts[1] or b"\r\n\r\n\xff\xd8\xff" not in parts[2]:
        return {"code": 234001, "msg": "Invalid request param."}
    return {"code": 0, "msg": "success", "data": {"image_key": "img_v3_key"}}


def wecom(got: Received) -> dict[str, Any]:
    if got.query.get("key") != WECOM_KEY:
        return {"errcode": 93000, "errmsg": "invalid webhook url"}
    card = got.json.get("template_card", {})
    has_picture = bool(card.get("card_image", {}).get("url"))
    good = got.json.get("msgtype") == "template_card" and card.get("main_title", {}).get("title") and card["card_action"]["url"]
    if not good or card["card_type"] != ("news_notice" if has_picture else "text_notice") or len(card["horizontal_content_list"]) > 6:
        return {"errcode": 40058, "errmsg": "Invalid parameter"}
    return OK


def dingtalk(got: Received) -> dict[str, Any]:
    text = f"{got.query.get('timestamp')}\n{DINGTALK_SECRET}".encode()
    expected = base64.b64encode(hmac.new(DINGTALK_SECRET.encode(), text, hashlib.sha256).digest()).decode()
    late = abs(int(got.query.get("timestamp", "0")) / 1000 - time.time()) > 3600
    if late or got.query.get("sign") != expected:
        return {"errcode": 310000, "errmsg": "sign not match, more: [https://ding-doc.dingtalk.com]"}
    card = got.json.get("actionCard", {})
    good = got.json.get("msgtype") == "actionCard" and card.get("title") and card.get("text") and card.get("singleURL")
    return OK if good else {"errcode": 40035, "errmsg": "miss param"}


ROBOTS: dict[str, Any] = {
    "/feishu": feishu,
    "/feishu/old": lambda _: {"StatusCode": 0, "StatusMessage": "success"},
    "/feishu/busy": lambda _: {"code": 11232, "msg": "frequency limited"},
    "/feishu/unknown": lambda _: {"code": 19001, "msg": "param invalid: incoming webhook access token invalid"},
    "/auth/v3/tenant_access_token/internal": feishu_token,
    "/im/v1/images": feishu_image,
    "/wecom": wecom,
    "/wecom/busy": lambda _: {"errcode": 45009, "errmsg": "api freq out of limit"},
    "/dingtalk": dingtalk,
    "/dingtalk/busy": lambda _: {"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"},
    "/dingtalk/unknown": lambda _: {"errcode": 300005, "errmsg": "token is not exist"},
    "/empty": lambda _: [],
}
