"""read_template and write_template: a TemplateBody from YAML or JSON and back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from factory.domain.plain_yaml import read_yaml
from factory.domain.template_body import TemplateBody
from factory.errors import Invalid, Problem, TooLarge

LARGEST = 64 * 1024
MOST_PROBLEMS = 20
TYPES = frozenset({"str", "int", "float", "bool", "[key]"})  # what pydantic adds to the place of a value
CODES = {"missing": "field_missing", "extra_forbidden": "unknown_field", "string_too_short": "field_empty"}


def read_template(content: bytes) -> TemplateBody:
    """Raises Invalid with one Problem for each field that is wrong, TooLarge above 64 KiB."""
    if len(content) > LARGEST:
        raise TooLarge(f"a template holds at most {LARGEST} bytes, this one has {len(content)}; shorten it")
    sent = _parsed(content)
    if not isinstance(sent, dict):
        raise Invalid(None, Problem("not_an_object", f"a template is a mapping of fields, not {_kind(sent)}"))
    if not _is_storable(sent):
        raise Invalid(None, Problem("invalid_value", "a text holds a NUL character or half of a surrogate pair; remove it"))
    try:
        return TemplateBody.model_validate(sent)
    except ValidationError as fault:
        # A value that fits none of several types has a finding for each of them.
        problems = {found.pointer: found for found in map(_problem, reversed(fault.errors(include_url=False)))}
        raise Invalid(None, *list(problems.values())[::-1][:MOST_PROBLEMS]) from fault


def write_template(body: TemplateBody) -> str:
    """YAML that read_template takes back to an equal body."""
    return yaml.safe_dump(body.as_json(), allow_unicode=True, sort_keys=False, width=140)


def _parsed(content: bytes) -> Any:
    """YAML holds most of JSON, but not its tabs and escapes: what looks like JSON is read as JSON first."""
    if content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{":
        try:
            return json.loads(content.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            pass  # a flow mapping, or broken: read_yaml says where
    return read_yaml(content)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if twice := [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]:
        raise Invalid(None, Problem("malformed_json", f"field {twice[0][:60]!r} is given twice; keep one"))
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _kind(sent: Any) -> str:
    return {"NoneType": "nothing", "list": "a list"}.get(type(sent).__name__, "a single value")


def _is_storable(sent: Any) -> bool:
    left = [sent]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += value
            left += value.values()
        elif isinstance(value, list):
            left += value
        elif isinstance(value, str) and ("\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value)):
            return False
    return True


def _problem(finding: Mapping[str, Any]) -> Problem:
    kind = str(finding["type"])
    code = CODES.get(kind) or ("wrong_type" if kind.endswith(("_parsing", "_type")) else "invalid_value")
    parts = [str(part) for part in finding["loc"]]
    if len(parts) > 1 and parts[-1] in TYPES:
        parts.pop()
    pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1")[:80] for part in parts)
    message = str(finding["msg"]).removeprefix("Value error, ")
    value = finding.get("input")
    shown = value if isinstance(value, str | int | float | bool) and kind != "missing" else None
    return Problem(code, f"{'.'.join(parts)[:120]}: {message}" if parts else message, pointer, shown)
