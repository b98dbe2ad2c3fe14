"""Standard: webhooks as standardwebhooks.com has them: thin JSON, three headers, one signature for each secret that counts."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets as randomness
from collections.abc import Sequence
from datetime import datetime

from factory.errors import Invalid, Problem
from factory.notify.courier import Answer
from factory.notify.message import Message, Outcome, Request, Wants, as_json, by_status

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64


def new_secret() -> str:
    """256 random bits."""
    return PREFIX + base64.b64encode(randomness.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The bytes that sign. Raises Invalid."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not SHORTEST <= len(key) <= LONGEST:
        message = f"secret must be {PREFIX} and the base64 of {SHORTEST} … {LONGEST} random bytes; leave it out and one is made"
        raise Invalid(None, Problem("invalid_secret", message, "/secret"))
    return key


def sign(key: bytes, message_id: str, timestamp: int, content: bytes) -> str:
    signed = b".".join((message_id.encode(), str(timestamp).encode(), content))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


class Standard:
    """For programs."""

    wants = Wants.NOTHING
    signs = True

    def request(self, message: Message, *, url: str, secrets: Sequence[str], at: datetime) -> Request:
        content, timestamp = as_json(message.payload), int(at.timestamp())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(sign(key_of(secret), message.id, timestamp, content) for secret in secrets),
        }
        return Request(url, headers, content)

    def read(self, answer: Answer) -> Outcome:
        return by_status(answer)

    def check_secret(self, secret: str) -> None:
        key_of(secret)
