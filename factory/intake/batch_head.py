"""BatchHead: what an order says about itself, in the address or in the body beside its rows."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from factory.domain.expiry import Seconds, not_both
from factory.domain.job_order import EXTERNAL_ID, METADATA_PAIRS, SAFE_NAME, TEMPLATE_REFERENCE, Short, Tag
from factory.domain.moment import Moment
from factory.domain.status import Priority
from factory.errors import Invalid, Problem
from factory.intake.columns import NAMED_PAIRS, mapping_problems, name_each
from factory.intake.field_problems import field_problems
from factory.intake.rows import unstorable
from factory.jobs.admit import project_problems
from factory.jobs.batch_order import BatchOrder
from factory.storage.lifecycle import RETENTION

GROUPS = (*NAMED_PAIRS, "map")
Header = Annotated[str, StringConstraints(min_length=1, max_length=200)]
SavedName = Annotated[str, StringConstraints(pattern=SAFE_NAME)]


class BatchHead(BaseModel):
    """`project` is the first part of every file name. Labels, template and vars go to each row that says nothing else."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    project: str = "default"
    external_id: str | None = Field(None, pattern=EXTERNAL_ID)
    user: Short | None = None
    campaign: Short | None = None
    cost_centre: Short | None = None
    tags: list[Tag] = Field(default_factory=list, max_length=16)
    metadata: dict[Tag, Annotated[str, StringConstraints(max_length=512)]] = Field(default_factory=dict, max_length=METADATA_PAIRS)
    template: str | None = Field(None, pattern=TEMPLATE_REFERENCE)
    vars: dict[Tag, str | int | float | bool] = Field(default_factory=dict, max_length=64)
    priority: Priority | None = None
    not_before: Moment | None = None
    deadline: Moment | None = Field(None, description="of the whole order; the reply says whether it is likely to be kept: `deadline_kept`")
    expires_in: Seconds | None = Field(None, description="seconds after it was taken, for rows that do not say when they end as `expired`")
    expires_at: Moment | None = Field(None, description="the same as a moment; not beside `expires_in`")
    reuse: bool = Field(True, description="deliver a finished picture of the same spec again instead of drawing it anew")
    retention: str = "standard"
    map: dict[Header, Header] = Field(default_factory=dict, max_length=200, description="header → field, metadata.NAME, vars.NAME or -")
    mapping: SavedName | None = Field(None, description="a saved mapping; what `map` says wins")
    remember: SavedName | None = Field(None, description="save the mapping of this order under this name")
    sheet: str | None = Field(None, min_length=1, max_length=200, description="of a workbook; the first visible one, unless said otherwise")

    @field_validator("retention")
    @classmethod
    def _known_class(cls, name: str) -> str:
        if name not in RETENTION:
            raise ValueError(f"must be one of {', '.join(RETENTION)}")
        return name

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        not_both(self.expires_at, self.expires_in)
        return self

    def as_order(self) -> BatchOrder:
        return BatchOrder(
            self.project,
            self.external_id,
            user=self.user,
            campaign=self.campaign,
            cost_centre=self.cost_centre,
            tags=tuple(self.tags),
            metadata=tuple(self.metadata.items()),
            priority=self.priority,
            not_before=self.not_before,
            deadline=self.deadline,
            expires_at=self.expires_at,
            expires_in=self.expires_in,
            template=self.template,
            reuse=self.reuse,
            retention=self.retention,
        )


def read_head(query: dict[str, Any], body: dict[str, Any]) -> BatchHead:
    """What the body says wins over the address. Raises Invalid that names the field."""
    sent = query | body
    if wrong := unstorable(sent):
        raise Invalid(None, Problem("invalid_value", wrong))
    try:
        head = BatchHead.model_validate(sent)
    except ValidationError as fault:
        raise Invalid(None, *field_problems(fault.errors(include_url=False))) from fault
    problems = project_problems(head.project, "") + mapping_problems(head.map)
    if head.remember is not None and not head.map and head.mapping is None:
        message = "there is no mapping to remember; say what columns mean with map.HEADER=FIELD"
        problems.append(Problem("field_missing", message, "/map", head.remember))
    if problems:
        raise Invalid(None, *problems)
    return head


def head_from_pairs(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """The same fields out of an address or a form: `tag` or `tags` may repeat, metadata is `metadata.NAME`, so are `vars` and `map`.

    Raises Invalid.
    """
    head: dict[str, Any] = {}
    for name, value in pairs:
        group, dot, rest = name.partition(".")
        if name in GROUPS:
            raise Invalid(None, name_each(name))
        if dot and group in GROUPS:
            head.setdefault(group, {})[rest] = value
        elif name in ("tag", "tags"):
            head.setdefault("tags", []).append(value)
        else:
            head[name] = value
    return head
