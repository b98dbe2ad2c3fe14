"""YAML as people write orders in it: plain values only. What could mean two things, or grow when read, is refused."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import yaml

from factory.errors import Invalid, Problem

LONGEST = 4 * 1024 * 1024
DEEPEST = 16
OPENS = (yaml.BlockSequenceStartToken, yaml.BlockMappingStartToken, yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken)
CLOSES = (yaml.BlockEndToken, yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)


class Plain(yaml.CSafeLoader):
    """Only what JSON calls a number is one: 007, 1_000, 12:30, 1E3, `no` and dates stay the text that somebody typed, SKUs above all."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - yaml's
        """No key is given twice: the first one would be lost without a word."""
        if twice := [name for name, count in Counter(str(key.value) for key, _ in node.value).items() if count > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice[0][:60]!r} is given twice; keep one", node.start_mark)
        return dict(super().construct_mapping(node, deep=deep))


Plain.yaml_implicit_resolvers = {}  # PyYAML's own are not taken over
for tag, pattern, first in (
    ("null", r"~|null|", ["~", "n", ""]),
    ("bool", r"true|false", list("tf")),
    ("int", r"-?(0|[1-9][0-9]{0,18})", list("-0123456789")),
    ("float", r"-?(0|[1-9][0-9]{0,18})\.[0-9]{1,18}([eE][-+]?[0-9]{1,3})?", list("-0123456789")),
):
    Plain.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), first)


def read_yaml(content: bytes) -> Any:
    """Raises Invalid that names the line."""
    if len(content) > LONGEST:
        raise _wrong(f"it has {len(content)} bytes, at most {LONGEST} are read; give the rows in a file beside it")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise _wrong("it is not UTF-8; save it as UTF-8") from fault
    try:
        _refuse_growth(text)
        return yaml.load(text, Loader=Plain)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError) as fault:
        raise _wrong(_where(fault)) from fault


def _refuse_growth(text: str) -> None:
    """An alias lets ten lines stand for a billion values; great depth breaks readers; a tag makes of a text what its owner did not
    write. All are seen before anything is built."""
    depth = 0
    for token in yaml.scan(text, Loader=Plain):
        depth += isinstance(token, OPENS) - isinstance(token, CLOSES)
        if isinstance(token, yaml.AliasToken):
            raise _wrong(f"line {token.start_mark.line + 1}: aliases (*name) are not read here; write the value out")
        if isinstance(token, yaml.TagToken):
            raise _wrong(f"line {token.start_mark.line + 1}: tags (!name) are not read here; write the plain value")
        if depth > DEEPEST:
            raise _wrong(f"line {token.start_mark.line + 1}: nested deeper than {DEEPEST} levels")


def _where(fault: Exception) -> str:
    mark = getattr(fault, "problem_mark", None) or getattr(fault, "context_mark", None)
    what = getattr(fault, "problem", None) or getattr(fault, "context", None) or str(fault)
    return f"line {mark.line + 1}: {what}" if mark else str(what)[:200]


def _wrong(what: str) -> Invalid:
    return Invalid(None, Problem("malformed_yaml", f"the YAML cannot be read: {what}"))
