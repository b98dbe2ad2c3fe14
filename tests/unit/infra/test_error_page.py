"""docs/errors.md lists the codes that the code has, all of them and no others."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CODE = re.compile(r"[a-z]+[a-z0-9]*(_[a-z0-9]+)*")
TABLES = {"code", "CODES", "HTTP_CODES"}
SHORT = {"_error", "_warning", "_taken"}  # what rooms call their own ways to a Problem or a warning


def texts(node):
    return {part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)}


def codes_in(tree):
    """`code = …`, `code=…`, Problem("…"), _error("…"), {"code": "…"}, and the values of tables named like that."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and TABLES & {target.id for target in node.targets if isinstance(target, ast.Name)}:
            values = node.value.values if isinstance(node.value, ast.Dict) else [node.value]
            yield from set().union(*(texts(value) for value in values)) - {"code"}
        elif isinstance(node, ast.Call):
            yield from set().union(
                *(texts(word.value) for word in node.keywords if word.arg == "code" and isinstance(word.value, ast.Constant))
            )
            if getattr(node.func, "id", "") == "Problem" and node.args and isinstance(node.args[0], ast.Constant):
                yield node.args[0].value
            if getattr(node.func, "id", "") in SHORT:
                said = [part.value for part in node.args if isinstance(part, ast.Constant) and isinstance(part.value, str)]
                yield from (text for text in said if "_" in text and CODE.fullmatch(text))
            if getattr(node.func, "id", "") == "problem":
                yield from texts(node.args[1])
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from set().union(*(texts(v) for k, v in pairs if isinstance(k, ast.Constant) and k.value == "code"))
        elif isinstance(node, ast.FunctionDef) and node.name == "_warnings":
            yield from {text for text in texts(node) if text.endswith(("_ignored", "_fixed"))}


def in_the_code():
    python = {code for path in (ROOT / "factory").rglob("*.py") for code in codes_in(ast.parse(path.read_text())) if CODE.fullmatch(code)}
    nginx = set(re.findall(r'"code":"(\w+)"', (ROOT / "infra/nginx/snippets/problems.conf").read_text()))
    return python | nginx


def on_the_page():
    return re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE)


def test_the_page_lists_every_code_and_no_other():
    assert len(in_the_code()) > 50
    assert sorted(on_the_page()) == sorted(in_the_code())


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ('class X:\n    code = "one"', "one"),
        ('raise Invalid(code="two")', "two"),
        ('Problem("three", "text", "/x")', "three"),
        ('x = {"code": "four", "detail": "text"}', "four"),
        ('CODES = {"missing": "five"}', "five"),
        ('yield _error("number_six", "text", "/x")', "number_six"),
        ('yield from _taken(name, value, "number_seven")', "number_seven"),
    ],
)
def test_every_way_to_name_a_code_is_seen(source, code):
    assert list(codes_in(ast.parse(source))) == [code]
