"""read_body: a small JSON body as the model that a route wants, with one Problem for each field that is wrong."""

from __future__ import annotations

from typing import TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from factory.errors import Invalid, Malformed, Problem
from factory.intake.field_problems import field_problems
from factory.intake.rows import unstorable

Body = TypeVar("Body", bound=BaseModel)


def read_body(kind: type[Body], content: bytes) -> Body:
    """No body at all is an empty object. Raises Malformed, and Invalid that names each field that is wrong."""
    try:
        sent = orjson.loads(content or b"{}")
    except orjson.JSONDecodeError as fault:
        raise Malformed(f"the body is no valid JSON in UTF-8: {fault}", code="malformed_json") from fault
    if wrong := unstorable(sent):
        raise Invalid(None, Problem("invalid_value", wrong))
    try:
        return kind.model_validate(sent)
    except ValidationError as fault:
        raise Invalid(None, *field_problems(fault.errors(include_url=False))) from fault
