"""DingTalk: an action card for a custom robot of a group. Time and signature go into the address."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from factory.notify.card import Card
from factory.notify.courier import Answer
from factory.notify.message import Message, Outcome, Request, Wants, as_json, by_body
from factory.notify.robot_secret import check_robot_secret

GONE = frozenset({300005, 400101})  # the token belongs to no robot
BUSY = frozenset({130101, 410100, -1})  # more than 20 messages in a minute, or the system is busy
MARKUP = str.maketrans("[]()<>`*@!\\", "［］（）＜＞｀＊＠！＼")


class DingTalk:
    """Signed in the query, when the robot asks for signatures."""

    wants = Wants.LINK
    signs = True

    def request(self, message: Message, *, url: str, secrets: Sequence[str], at: datetime) -> Request:
        if secrets:
            timestamp = str(int(at.timestamp() * 1000))
            query = urlencode({"timestamp": timestamp, "sign": sign(secrets[0], timestamp)}, quote_via=quote, safe="")
            url = f"{url}{'&' if '?' in url else '?'}{query}"
        # The same msgUuid again is not shown twice.
        body = {"msgtype": "actionCard", "actionCard": draw(message.card), "msgUuid": message.id}
        return Request(url, {"Content-Type": "application/json; charset=utf-8"}, as_json(body))

    def read(self, answer: Answer) -> Outcome:
        return by_body(answer, ("errcode",), gone=GONE, busy=BUSY)

    def check_secret(self, secret: str) -> None:
        check_robot_secret(secret)


def sign(secret: str, timestamp: str) -> str:
    """The secret is the key; time and secret are signed."""
    return base64.b64encode(hmac.new(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256).digest()).decode()


def draw(card: Card) -> dict[str, Any]:
    """Markdown, in which values are made harmless."""
    lines = [f"### {card.title}", *([f"![]({card.picture_url})"] if card.picture_url else [])]
    lines += [f"**{row.label}**: {row.value.translate(MARKUP)}" for row in card.rows]
    text = "\n\n".join(lines)
    drawn: dict[str, Any] = {"title": card.title, "text": text, "btnOrientation": "0"}
    return drawn | ({"singleTitle": "查看 Open", "singleURL": card.url} if card.url else {})
