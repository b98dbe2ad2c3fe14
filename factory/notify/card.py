"""Card: an event as people in a chat read it, in Chinese and English. Drawn by each notifier in its own format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

LONGEST = 60
TITLES = {
    "ping": ("连接正常", "Connected"),
    "batch.received": ("批次文件已收到", "Order received"),
    "batch.submitted": ("批次已接收", "Batch accepted"),
    "batch.ended": ("批次结束", "Batch ended"),
    "batch.canceled": ("批次已取消", "Batch canceled"),
    "batch.paused": ("批次已暂停", "Batch paused"),
    "batch.resumed": ("批次继续", "Batch resumed"),
    "batch.retried": ("批次重试", "Batch retried"),
    "batch.extended": ("批次已追加", "Batch extended"),
    "job.succeeded": ("图片完成", "Picture finished"),
    "job.failed": ("图片失败", "Picture failed"),
    "job.rejected": ("图片被规则拒绝", "Picture refused by a rule"),
    "job.canceled": ("图片已取消", "Picture canceled"),
    "job.expired": ("图片已过期", "Picture expired"),
    "prompt.rejected": ("提示词被拒绝", "Prompt refused"),
    "asset.expired": ("图片已到保存期限", "Picture removed after its time"),
}
STATUSES = {
    "succeeded": ("成功", "Succeeded"),
    "failed": ("失败", "Failed"),
    "rejected": ("被拒绝", "Refused"),
    "canceled": ("取消", "Canceled"),
    "expired": ("过期", "Expired"),
    "completed": ("全部完成", "Completed"),
    "partially_completed": ("部分完成", "Partly completed"),
    "queued": ("排队", "Waiting"),
    "running": ("进行中", "Running"),
}
FIELDS = {
    "problem": ("原因", "Reason"),
    "rows_refused": ("未受理行", "Rows refused"),
    "external_id": ("编号", "Your id"),
    "sku": ("SKU", "SKU"),
    "id": ("ID", "ID"),
}


class Tone(StrEnum):
    """How glad one may be."""

    GOOD = "good"
    MIXED = "mixed"
    BAD = "bad"
    PLAIN = "plain"


TONES = {"completed": Tone.GOOD, "succeeded": Tone.GOOD, "partially_completed": Tone.MIXED}
TONES |= dict.fromkeys(("failed", "rejected", "expired"), Tone.BAD)


@dataclass(frozen=True)
class Row:
    """One line: both names and the value, which may come from a customer and is never markup."""

    chinese: str
    english: str
    value: str

    @property
    def label(self) -> str:
        return self.chinese if self.chinese == self.english else f"{self.chinese} {self.english}"


@dataclass(frozen=True)
class Card:
    """`url` is where more can be read. `picture_url` is a link to the picture, `picture_key` what an upload of it gave."""

    chinese: str
    english: str
    tone: Tone
    rows: tuple[Row, ...]
    url: str
    picture_url: str = ""
    picture_key: str = ""

    @property
    def title(self) -> str:
        return f"{self.chinese} · {self.english}"


def card_of(payload: Mapping[str, Any], *, picture_url: str = "", picture_key: str = "") -> Card:
    """From the event that programs get."""
    data = payload.get("data", {})
    name, status = str(payload.get("type", "")), str(data.get("status") or "")
    chinese, english = TITLES.get(name, (name, name))
    rows = [Row(*STATUSES[status], _count(data, status)) for status in STATUSES if _count(data, status)]
    if not rows and status:
        rows = [Row("状态", "Status", " ".join(STATUSES.get(status, (status,))))]
    rows += [Row(*labels, _plain(data[field])) for field, labels in FIELDS.items() if data.get(field)]
    url = str(data.get("links", {}).get("self", ""))
    return Card(chinese, english, TONES.get(status, Tone.PLAIN), tuple(rows), url, picture_url, picture_key)


def _count(data: Mapping[str, Any], status: str) -> str:
    number = (data.get("counts") or {}).get(status)
    return f"{number:,}" if isinstance(number, int) and number else ""


def _plain(value: Any) -> str:
    """One line without control characters."""
    text = "".join(character if character.isprintable() else " " for character in str(value))
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
