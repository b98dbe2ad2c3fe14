"""BatchHead: what an order says about itself, in the address or in the body beside its rows."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from factory.api.field_problems import field_problems
from factory.api.rows import NAME_EACH_PAIR, unstorable
from factory.domain.job_order import EXTERNAL_ID, METADATA_PAIRS, Short, Tag
from factory.errors import Invalid, Problem
from factory.jobs.admit import project_problems
from factory.jobs.submit_batch import BatchOrder


class BatchHead(BaseModel):
    """`project` is the first part of every file name. The labels go to each row that says nothing else."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    project: str = "default"
    external_id: str | None = Field(None, pattern=EXTERNAL_ID)
    user: Short | None = None
    campaign: Short | None = None
    cost_centre: Short | None = None
    tags: list[Tag] = Field(default_factory=list, max_length=16)
    metadata: dict[Tag, Annotated[str, StringConstraints(max_length=512)]] = Field(default_factory=dict, max_length=METADATA_PAIRS)

    def as_order(self) -> BatchOrder:
        labels = self.model_dump(include={"user", "campaign", "cost_centre"})
        return BatchOrder(self.project, self.external_id, **labels, tags=tuple(self.tags), metadata=tuple(self.metadata.items()))


def read_head(query: dict[str, Any], body: dict[str, Any]) -> BatchHead:
    """What the body says wins over the address. Raises Invalid that names the field."""
    sent = query | body
    if wrong := unstorable(sent):
        raise Invalid(None, Problem("invalid_value", wrong))
    try:
        head = BatchHead.model_validate(sent)
    except ValidationError as fault:
        raise Invalid(None, *field_problems(fault.errors(include_url=False))) from fault
    if problems := project_problems(head.project, ""):
        raise Invalid(None, *problems)
    return head


def head_from_pairs(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """The same fields out of an address or a form: `tag` or `tags` may repeat, metadata is `metadata.NAME`. Raises Invalid."""
    head: dict[str, Any] = {}
    for name, value in pairs:
        if name == "metadata":
            raise Invalid(None, NAME_EACH_PAIR)
        if name.startswith("metadata."):
            head.setdefault("metadata", {})[name.removeprefix("metadata.")] = value
        elif name in ("tag", "tags"):
            head.setdefault("tags", []).append(value)
        else:
            head[name] = value
    return head
