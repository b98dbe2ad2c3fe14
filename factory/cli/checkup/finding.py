"""Finding: the outcome of one check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from factory.errors import DatabaseDown


class Sick(Exception):
    """Something is wrong; `remedy` says what to do. `serious=False` makes it a warning."""

    def __init__(self, detail: str, remedy: str, *, serious: bool = True) -> None:
        super().__init__(detail)
        self.remedy, self.serious = remedy, serious


class Unasked(Exception):
    """The check does not apply here; the message says why."""


@dataclass(frozen=True)
class Finding:
    """`status` is ok, warning, failed or skipped; `remedy` is empty when nothing need be done."""

    name: str
    status: str
    detail: str
    remedy: str = ""


def examine(name: str, check: Callable[[], str], *, remedy: str) -> Finding:
    """Run one check. `remedy` serves when it breaks in a way that nobody foresaw."""
    try:
        return Finding(name, "ok", check())
    except Sick as sick:
        return Finding(name, "failed" if sick.serious else "warning", str(sick), sick.remedy)
    except Unasked as reason:
        return Finding(name, "skipped", str(reason))
    except DatabaseDown as down:
        return Finding(name, "failed", str(down), remedy)
    except Exception as fault:
        said = (str(fault).strip() or "no reason given").splitlines()[0]
        return Finding(name, "failed", f"{type(fault).__name__}: {said}", remedy)
