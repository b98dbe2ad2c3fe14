"""WeCom: a template card for a robot of a group. The key in the address is all it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from factory.errors import Invalid, Problem
from factory.notify.card import Card, Tone
from factory.notify.courier import Answer
from factory.notify.message import Message, Outcome, Request, Wants, as_json, by_body

COLOURS = {Tone.GOOD: 3, Tone.MIXED: 1, Tone.BAD: 2, Tone.PLAIN: 0}  # of the line above the title
MOST_ROWS = 6
GONE = frozenset({93000})  # the key belongs to no robot
BUSY = frozenset({45009, 45033, -1})  # too many messages, or the system is busy


class WeCom:
    """Unsigned: whoever has the address may write."""

    wants = Wants.LINK
    signs = False

    def request(self, message: Message, *, url: str, secrets: Sequence[str], at: datetime) -> Request:
        body = {"msgtype": "template_card", "template_card": draw(message.card)}
        return Request(url, {"Content-Type": "application/json; charset=utf-8"}, as_json(body))

    def read(self, answer: Answer) -> Outcome:
        return by_body(answer, ("errcode",), gone=GONE, busy=BUSY)

    def check_secret(self, secret: str) -> None:
        message = "a WeCom robot has no secret beside the key in its address; leave it out"
        raise Invalid(None, Problem("invalid_secret", message, "/secret"))


def draw(card: Card) -> dict[str, Any]:
    """With a picture `news_notice`, without one `text_notice`. Both must lead somewhere."""
    drawn: dict[str, Any] = {
        "card_type": "news_notice" if card.picture_url else "text_notice",
        "source": {"desc": "content factory", "desc_color": COLOURS[card.tone]},
        "main_title": {"title": card.chinese, "desc": card.english},
        "horizontal_content_list": [{"keyname": row.label, "value": row.value} for row in card.rows[:MOST_ROWS]],
        "card_action": {"type": 1, "url": card.url},
        "jump_list": [{"type": 1, "title": "查看 Open", "url": card.url}],
    }
    if card.picture_url:
        drawn["card_image"] = {"url": card.picture_url, "aspect_ratio": 1.3}
    return drawn
