"""value_text: what a variable was given becomes the text in its hole, or a Problem that says what it takes."""

from __future__ import annotations

import math
import re
from typing import Any

from factory.domain.template_body import Value, Variable
from factory.errors import Problem

LONGEST_TEXT = 200
LARGEST = 10**18
SHOWN = 12
WHOLE = re.compile(r"[+-]?\d{1,18}")
TRUE = frozenset({"true", "yes", "1", "是", "有"})
FALSE = frozenset({"false", "no", "0", "否", "无"})
CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")


def value_text(name: str, variable: Variable, value: Any, pointer: str) -> str | Problem:
    """Numbers and booleans may come as texts, as they do from tables."""
    said = _read(variable, value)
    if said is None:
        return Problem("variable_wrong_type", f"variable {name!r} is {_short(value)}; it takes {_kind(variable)}", pointer, value)
    if variable.type == "boolean":
        return (variable.if_true if said else variable.if_false) or ""
    if said == "" and variable.default == "":
        return ""
    if variable.allowed and not any(_same(variable, said, allowed) for allowed in variable.allowed):
        return Problem(
            "variable_not_allowed", f"variable {name!r} is {_short(value)}; allowed: {_listed(variable.allowed)}", pointer, value
        )
    if isinstance(said, str):
        return _text(name, variable, said, pointer)
    if (variable.min is not None and said < variable.min) or (variable.max is not None and said > variable.max):
        return Problem("variable_out_of_range", f"variable {name!r} is {said}; it must be {_range(variable)}", pointer, value)
    return f"{said:.12g}" if isinstance(said, float) else str(said)


def _read(variable: Variable, value: Any) -> Value | None:
    """The value as its type has it; None when it is of another."""
    if variable.type == "boolean":
        word = str(value).strip().lower()
        return True if word in TRUE else False if word in FALSE else None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if variable.type in ("text", "choice"):
        return CONTROL.sub(" ", str(value)).strip()
    if variable.type == "integer":
        return _integer(value)
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _integer(value: str | float) -> int | None:
    if isinstance(value, str):
        return int(value) if WHOLE.fullmatch(value := value.strip()) else None
    return int(value) if abs(value) < LARGEST and value == int(value) else None


def _text(name: str, variable: Variable, said: str, pointer: str) -> str | Problem:
    longest = variable.max_length or LONGEST_TEXT
    if not said:
        return Problem("variable_missing", f"variable {name!r} is empty; give it in `vars`", pointer, said)
    if len(said) > longest and not variable.allowed:
        message = f"variable {name!r} has {len(said)} characters; at most {longest} fit, so shorten it"
        return Problem("variable_too_long", message, pointer, said)
    return said


def _same(variable: Variable, said: Value, allowed: Value) -> bool:
    return said == _read(variable, allowed)


def _kind(variable: Variable) -> str:
    if variable.type == "choice":
        return f"one of {_listed(variable.allowed)}"
    return {"integer": "a whole number", "number": "a number", "boolean": "true or false"}.get(variable.type, "a text")


def _listed(values: tuple[Value, ...]) -> str:
    return ", ".join(str(value)[:40] for value in values[:SHOWN]) + (", …" if len(values) > SHOWN else "")


def _range(variable: Variable) -> str:
    if variable.max is None:
        return f"at least {variable.min}"
    return f"at most {variable.max}" if variable.min is None else f"{variable.min} … {variable.max}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
