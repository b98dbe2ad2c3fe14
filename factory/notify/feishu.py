"""Feishu: a card for a custom robot of a group. Pictures need a key, which only an app's upload gives."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from factory.notify.card import Card, Tone
from factory.notify.courier import Answer
from factory.notify.message import Message, Outcome, Request, Wants, as_json, by_body
from factory.notify.robot_secret import check_robot_secret

COLOURS = {Tone.GOOD: "green", Tone.MIXED: "orange", Tone.BAD: "red", Tone.PLAIN: "blue"}
GONE = frozenset({19001})  # the address belongs to no robot
BUSY = frozenset({11232, 11233, 9499, 99991400})  # too many messages


class Feishu:
    """Signed in the body, when the robot asks for signatures."""

    wants = Wants.UPLOAD
    signs = True

    def request(self, message: Message, *, url: str, secrets: Sequence[str], at: datetime) -> Request:
        body: dict[str, Any] = {"msg_type": "interactive", "card": draw(message.card)}
        if secrets:
            timestamp = str(int(at.timestamp()))
            body = {"timestamp": timestamp, "sign": sign(secrets[0], timestamp), **body}
        return Request(url, {"Content-Type": "application/json; charset=utf-8"}, as_json(body))

    def read(self, answer: Answer) -> Outcome:
        # Older robots answer StatusCode instead of code.
        return by_body(answer, ("code", "StatusCode"), gone=GONE, busy=BUSY)

    def check_secret(self, secret: str) -> None:
        check_robot_secret(secret)


def sign(secret: str, timestamp: str) -> str:
    """Time and secret are the key; what is signed is empty."""
    return base64.b64encode(hmac.new(f"{timestamp}\n{secret}".encode(), b"", hashlib.sha256).digest()).decode()


def draw(card: Card) -> dict[str, Any]:
    """All texts are plain_text: a SKU must not become markup, or call everybody in the group."""
    fields = [{"is_short": True, "text": _text(f"{row.label}\n{row.value}")} for row in card.rows]
    elements: list[dict[str, Any]] = [{"tag": "div", "fields": fields}] if fields else []
    if card.picture_key:
        elements.append({"tag": "img", "img_key": card.picture_key, "alt": _text(card.title), "mode": "fit_horizontal"})
    if card.url:
        button = {"tag": "button", "text": _text("查看 Open"), "type": "primary", "url": card.url}
        elements.append({"tag": "action", "actions": [button]})
    return {
        "config": {"wide_screen_mode": True},
        "header": {"template": COLOURS[card.tone], "title": _text(card.title)},
        "elements": elements,
    }


def _text(content: str) -> dict[str, str]:
    return {"tag": "plain_text", "content": content}
