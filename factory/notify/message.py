"""What is told, what goes over the wire for it, and what the receiver made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Protocol

from factory.notify.card import Card
from factory.notify.courier import Answer

LONGEST_DETAIL = 200
BUSY = frozenset({429, 503})
GONE = 410


class Wants(StrEnum):
    """What a notifier makes of a picture: nothing, a link that its people's machines can open, or a key from an upload."""

    NOTHING = "nothing"
    LINK = "link"
    UPLOAD = "upload"


@dataclass(frozen=True)
class Message:
    """`id` is the same in every attempt. `card` is for people; programs get `payload`."""

    id: str
    payload: Mapping[str, Any]
    card: Card


@dataclass(frozen=True)
class Request:
    """One POST, signed."""

    url: str
    headers: dict[str, str]
    content: bytes


@dataclass(frozen=True)
class Outcome:
    """`gone`: never send there again. `retry_after`: seconds that the receiver asked for."""

    delivered: bool
    code: str
    detail: str = ""
    status: int | None = None
    gone: bool = False
    retry_after: float | None = None
    seconds: float = 0.0


class Notifier(Protocol):
    """Pure: makes the request and reads the answer; the courier carries both. `signs`: there may be a secret."""

    wants: Wants
    signs: bool

    def request(self, message: Message, *, url: str, secrets: Sequence[str], at: datetime) -> Request: ...

    def read(self, answer: Answer) -> Outcome: ...

    def check_secret(self, secret: str) -> None:
        """Raises Invalid for one that cannot sign."""


def as_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def by_status(answer: Answer) -> Outcome:
    """What HTTP says: 2xx is delivered; a redirect is not, for nobody follows it."""
    delivered = 200 <= answer.status < 300
    return Outcome(
        delivered,
        "delivered" if delivered else "refused",
        "" if delivered else excerpt(answer),
        answer.status,
        gone=answer.status == GONE,
        retry_after=retry_after(answer) if answer.status in BUSY else None,
        seconds=answer.seconds,
    )


def by_body(answer: Answer, names: Sequence[str], *, gone: frozenset[int], busy: frozenset[int]) -> Outcome:
    """What a robot says: HTTP 200 may hold a refusal; only the code 0 in the body is a success. `names`: where the code stands."""
    found = by_status(answer)
    if not found.delivered:
        return found
    try:
        body = json.loads(answer.body)
        said = [body[name] for name in names if name in body]
    except (ValueError, TypeError):
        said = []
    code = said[0] if said and isinstance(said[0], int) and not isinstance(said[0], bool) else None
    if code == 0:
        return found
    pause = 60.0 if code in busy else None
    return Outcome(False, "robot_refused", excerpt(answer), answer.status, gone=code in gone, retry_after=pause, seconds=answer.seconds)


def excerpt(answer: Answer) -> str:
    """The start of the body, as text that any database takes."""
    text = answer.body[: LONGEST_DETAIL * 4].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else " " for character in text)[:LONGEST_DETAIL].strip()


def retry_after(answer: Answer) -> float | None:
    """Seconds, from seconds or a date; None when there is no sensible one."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 9:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())
