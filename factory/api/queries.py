"""What lists may be asked for. One grammar: a filter that does not exist is an error, never ignored."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from factory.domain.status import JobStatus
from factory.errors import Invalid, Problem
from factory.jobs.find_jobs import JobFilter
from factory.jobs.label_filter import LabelFilter
from factory.jobs.read_audit import AuditFilter

MOST = 200


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _split(values: Any) -> Any:
    texts = [values] if isinstance(values, str) else values
    return [part for text in texts for part in text.split(",") if part] if isinstance(texts, list) else texts


Moment = Annotated[datetime, AfterValidator(_aware)]
Statuses = Annotated[list[JobStatus], BeforeValidator(_split)]


class PageQuery(BaseModel):
    """`cursor` is `next_cursor` of the page before."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=MOST)
    cursor: str | None = Field(None, max_length=200)


class LabelQuery(PageQuery):
    """`metadata.NAME=value` asks for customers' own fields. Times are ISO 8601, UTC unless they say otherwise."""

    model_config = ConfigDict(extra="allow")

    project: str | None = None
    user: str | None = None
    campaign: str | None = None
    cost_centre: str | None = None
    tag: str | None = None
    since: Moment | None = None
    until: Moment | None = None

    @model_validator(mode="after")
    def _only_metadata(self) -> Self:
        if unknown := [name for name in self.model_extra or {} if not name.startswith("metadata.")]:
            known = ", ".join(type(self).model_fields)
            raise ValueError(f"no filter is called {unknown[0][:60]!r}; there are {known}, metadata.NAME")
        return self

    def named(self) -> dict[str, Any]:
        """What LabelFilter and its kin take."""
        extra = self.model_extra or {}
        metadata = tuple((name.removeprefix("metadata."), str(value)) for name, value in extra.items())
        return {**self.model_dump(exclude={"limit", "cursor", *extra}), "metadata": metadata}

    def as_label_filter(self) -> LabelFilter:
        return LabelFilter(**self.named())


class JobQuery(LabelQuery):
    """`q` is looked for in the prompt."""

    status: Statuses = Field(default_factory=list, description="one or several, separated by commas")
    batch: uuid.UUID | None = None
    sku: str | None = None
    model: str | None = None
    q: str | None = Field(None, max_length=200)
    dead_letter: bool | None = None

    def as_filter(self, **fixed: Any) -> JobFilter:
        """`fixed` is what the address says already. Raises Invalid for a query that says otherwise."""
        for name, value in fixed.items():
            if getattr(self, name) not in (None, value):
                message = f"{name}: the address says which; leave it out, or ask /api/v1/jobs"
                raise Invalid(None, Problem("filter_contradicts_address", message, f"/{name}", str(getattr(self, name))))
        named = self.named()
        text = named.pop("q")
        return JobFilter(**{**named, "status": tuple(self.status), "text": text, **fixed})


class AuditFields(BaseModel):
    """The same filters for records, events and exports. `decision=blocked` asks for what rules refused."""

    model_config = ConfigDict(extra="forbid")

    job: uuid.UUID | None = None
    batch: uuid.UUID | None = None
    sku: str | None = None
    user: str | None = None
    key: str | None = Field(None, description="the prefix of an API key, or another actor's name")
    model: str | None = None
    seed: str | None = None
    decision: str | None = None
    action: str | None = None
    since: Moment | None = None
    until: Moment | None = None

    def as_filter(self, tenant: str) -> AuditFilter:
        return AuditFilter(tenant=tenant, **{name: getattr(self, name) for name in AuditFields.model_fields})


class AuditQuery(AuditFields, PageQuery):
    """A page of the log."""


class ExportQuery(AuditFields):
    """All of it, as a file."""

    format: Literal["jsonl", "csv"] = "jsonl"
    kind: Literal["records", "events"] = "records"
