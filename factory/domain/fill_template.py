"""fill_template: a body and some variables become a prompt. No format strings: a hole is a name in braces and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from factory.domain.template_body import TemplateBody, Value
from factory.domain.template_value import value_text
from factory.errors import Invalid, Problem

PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
SPACES = re.compile(r"[ \t]{2,}")
Hole = tuple[str, str]


@lru_cache(maxsize=512)
def split_prompt(prompt: str) -> tuple[tuple[Hole, ...], tuple[Problem, ...]]:
    """(the text before, the hole's name) for each hole, the last one with no name; and what is wrong with the braces."""
    parts: list[Hole] = []
    problems: list[Problem] = []
    text, end = "", 0
    for match in PART.finditer(prompt):
        text += prompt[end : match.start()]
        end = match.end()
        if match[0] in ("{{", "}}"):
            text += match[0][0]
        elif match[1] is not None and match[1].isidentifier():
            parts.append((text, match[1]))
            text = ""
        else:
            problems.append(_strange_hole(match[0], match.start()))
    parts.append((text + prompt[end:], ""))
    return tuple(parts), tuple(problems)


def _strange_hole(found: str, at: int) -> Problem:
    message = f"prompt: {found[:40]!r} at character {at + 1} is no hole; a hole is a name in braces, a brace itself is written twice"
    return Problem("template_hole", message, "/prompt", found)


def holes(prompt: str) -> list[str]:
    """The names of the holes, each once, in the order in which they stand."""
    return list(dict.fromkeys(name for _, name in split_prompt(prompt)[0] if name))


def fill_template(body: TemplateBody, given: Mapping[str, Any], *, pointer: str = "") -> str:
    """The prompt. What a variable holds is put in as it is: braces in it open nothing.

    Raises Invalid with one Problem for each variable that is missing, unknown or not allowed.
    """
    parts, problems = split_prompt(body.prompt)
    texts, wrong = _texts(body, given, f"{pointer}/vars")
    wrong = [*problems, *wrong]
    wrong += [_undeclared(name) for name in holes(body.prompt) if name not in body.variables]
    if wrong:
        raise Invalid(None, *wrong)
    filled = "".join(text + texts.get(name, "") for text, name in parts)
    # A variable that may be empty leaves two blanks where one was meant.
    return SPACES.sub(" ", filled).strip()


def example_vars(body: TemplateBody) -> dict[str, Value]:
    """What an example order gives: each variable's example, else its default, else the first value allowed."""
    found: dict[str, Value] = {}
    for name, variable in body.variables.items():
        values = (variable.example, variable.default, *variable.allowed[:1])
        if (value := next((value for value in values if value is not None), None)) is not None:
            found[name] = value
    return found


def _texts(body: TemplateBody, given: Mapping[str, Any], pointer: str) -> tuple[dict[str, str], list[Problem]]:
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for name, value in given.items():
        if name not in body.variables:
            known = ", ".join(body.variables) or "none"
            message = f"template {body.name!r} has no variable {name[:60]!r}; it has {known}"
            problems.append(Problem("unknown_variable", message, f"{pointer}/{escaped(name)}", value))
    for name, variable in body.variables.items():
        value = given.get(name)
        # An empty cell of a file means: not given.
        sent = variable.default if value is None or value == "" else value
        if sent is None:
            message = f"template {body.name!r} needs the variable {name!r}; give it in `vars`"
            problems.append(Problem("variable_missing", message, f"{pointer}/{escaped(name)}"))
            continue
        text = value_text(name, variable, sent, f"{pointer}/{escaped(name)}")
        if isinstance(text, Problem):
            problems.append(text)
        else:
            texts[name] = text
    return texts, problems


def escaped(name: str) -> str:
    """As a part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")[:80]


def _undeclared(name: str) -> Problem:
    message = f"prompt: the hole {{{name}}} has no variable; declare `{name}` under `variables`, or write {{{{{name}}}}} for the text"
    return Problem("template_hole_undeclared", message, "/prompt", name)
