"""pydantic's findings in our words: a stable code, a JSON pointer, and what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from factory.errors import Problem

CODES = {
    "missing": "field_missing",
    "field_missing": "field_missing",
    "extra_forbidden": "unknown_field",
    "string_too_short": "field_empty",
}
MOST = 20


def field_problems(findings: Sequence[Mapping[str, Any]], *, pointer: str = "", strip: int = 0) -> list[Problem]:
    """`strip` drops the leading parts of each location that say where, not which (query, path)."""
    return [_problem(finding, pointer, strip) for finding in findings[:MOST]]


def _problem(finding: Mapping[str, Any], pointer: str, strip: int) -> Problem:
    kind = str(finding["type"])
    wrong_type = kind.endswith(("_parsing", "_type"))
    code = CODES.get(kind) or ("wrong_type" if wrong_type else "invalid_value")
    # A model that misses one of several fields says itself which one to show.
    named = [finding["ctx"]["field"]] if kind == "field_missing" else []
    parts = [str(part) for part in (*finding["loc"], *named)][strip:]
    path = "".join("/" + part.replace("~", "~0").replace("/", "~1")[:80] for part in parts)
    message = str(finding["msg"]).removeprefix("Value error, ")
    value = finding.get("input")
    shown = value if isinstance(value, str | int | float | bool) and kind != "missing" else None
    return Problem(code, f"{'.'.join(parts)[:120]}: {message}" if parts else message, pointer + path, shown)
