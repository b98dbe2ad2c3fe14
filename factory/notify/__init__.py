"""Messages that leave the factory. A notifier is `notify/x.py` and one line in NOTIFIERS."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from factory.errors import Invalid, Problem
from factory.notify.message import Notifier

__all__ = ["NOTIFIERS", "open_notifier"]

NOTIFIERS = {
    "standard": "factory.notify.standard:Standard",
    "feishu": "factory.notify.feishu:Feishu",
    "wecom": "factory.notify.wecom:WeCom",
    "dingtalk": "factory.notify.dingtalk:DingTalk",
}


def open_notifier(kind: str) -> Notifier:
    """Raises Invalid for a kind that does not exist."""
    if kind not in NOTIFIERS:
        raise Invalid(None, Problem("invalid_value", f"kind {kind[:40]!r} is unknown; use one of {', '.join(NOTIFIERS)}", "/kind", kind))
    module, name = NOTIFIERS[kind].split(":")
    return cast("Notifier", getattr(import_module(module), name)())
