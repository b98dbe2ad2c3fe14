"""check_upload: an uploaded order read to its end, row by row, and laid aside; nothing is ordered yet."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.caller import Caller
from factory.domain.expiry import FIELDS, Times, too_early
from factory.domain.template_body import TemplateVersion
from factory.errors import Invalid, NotFound, Problem
from factory.intake.batch_head import BatchHead, read_head
from factory.intake.columns import Reading, fold
from factory.intake.rows import RowDefaults, parsed_rows
from factory.intake.uploads import Upload
from factory.jobs.admit import Admission
from factory.jobs.column_mappings import find_mapping, save_mapping
from factory.jobs.prepare_batch import PreparedBatch, prepare_batch
from factory.jobs.templates import template_finder

ReadHead = Callable[[dict[str, Any], dict[str, Any]], BatchHead]
TOLD_LATE = frozenset({"empty_batch", "no_valid_rows"})


@dataclass(frozen=True)
class CheckedUpload:
    """`mapping` is what columns meant by the order's own word, saved and new."""

    head: BatchHead
    prepared: PreparedBatch
    mapping: dict[str, str]
    max_queued: int

    def remember(self, session: Session, now: ColumnElement[Any], *, tenant: str) -> None:
        """Save the mapping under the name that the order gave it, if it gave one."""
        if self.head.remember is not None:
            save_mapping(session, now, tenant=tenant, name=self.head.remember, columns=self.mapping)


def check_upload(
    db: Database,
    caller: Caller,
    admission: Callable[[], Admission],
    upload: Upload,
    query: dict[str, Any],
    *,
    keep: bool = True,
    read: ReadHead = read_head,
) -> CheckedUpload:
    """Raises Invalid, Malformed. Where an object says after its rows what they go by, they are read a second time.

    With `keep` a template of the market that is named becomes the caller's own. `read` makes the head of what address and body say.
    """
    base = replace(admission(), templates=template_finder(db, caller, keep=keep))
    head = read(query, upload.head)  # what the address says wrong should not wait for a hundred thousand rows
    sent = query | upload.head
    while True:
        mapping = _mapping(db, caller, head)
        fault: Invalid | None = None
        prepared = PreparedBatch()
        try:
            prepared = _prepare(base, upload, head, mapping)
        except Invalid as found:
            if found.code not in TOLD_LATE:
                raise
            fault = found
        said_late, sent_late = read(query, upload.head), query | upload.head  # a misspelt `rows` says more than "no rows"
        if _for_rows(said_late, sent_late) == _for_rows(head, sent):
            upload.warnings += too_early(said_late.deadline, said_late.not_before)
            if fault:
                fault.detail["warnings"] = upload.warnings  # perhaps they say why
                raise fault
            return CheckedUpload(said_late, prepared, mapping, base.limits.max_queued)
        head, sent = said_late, sent_late


def check_names(db: Database, caller: Caller, admission: Callable[[], Admission], head: BatchHead) -> str | None:
    """Of a head whose rows are read later: are its template and its mapping there? Returns the version of the template that is meant now,
    so that it is meant then too; a newer one of the market is another matter. Raises Invalid."""
    _mapping(db, caller, head)
    version = _template(replace(admission(), templates=template_finder(db, caller, keep=False)), head)
    return version.reference if version and version.version else head.template


def _for_rows(head: BatchHead, sent: dict[str, Any]) -> tuple[Any, ...]:
    """Times as they were sent: what counts from now is another moment each time that it is read."""
    times = [sent.get(name) for name in FIELDS]
    return head.template, head.vars, head.map, head.mapping, head.campaign, head.project, times


def _prepare(base: Admission, upload: Upload, head: BatchHead, mapping: dict[str, str]) -> PreparedBatch:
    version = _template(base, head)
    titles = {
        name: [said for said in (variable.title.zh, variable.title.en) if said] if variable.title else []
        for name, variable in (version.body.variables if version else {}).items()
    }
    reading = Reading.of(mapping, titles, templated=version is not None, sheet=head.sheet)
    # A table's columns are mapped where its header is read.
    renames = {} if upload.kind in {"csv", "xlsx"} else reading.mapping
    defaults = RowDefaults(head.template, head.vars, renames)
    by = replace(base, campaign=head.campaign, project=head.project, whole=Times.of(head))
    with closing(upload.rows(reading)) as rows:
        return prepare_batch(parsed_rows(rows, defaults), by, locate=upload.locate)


def _template(base: Admission, head: BatchHead) -> TemplateVersion | None:
    if head.template is None:
        return None
    version = base.templates(head.template)
    if version is None:
        message = f"template {head.template!r} is unknown; `GET /api/v1/templates` lists yours, with `?market=1` those that come with us"
        raise Invalid(None, Problem("unknown_template", message, "/template", head.template))
    return version


def _mapping(db: Database, caller: Caller, head: BatchHead) -> dict[str, str]:
    if head.mapping is None:
        return dict(head.map)
    try:
        saved = find_mapping(db, tenant=caller.tenant, name=head.mapping).columns
    except NotFound as fault:
        raise Invalid(None, Problem("unknown_mapping", str(fault), "/mapping", head.mapping)) from fault
    said = {fold(header) for header in head.map}
    return {header: target for header, target in saved.items() if fold(header) not in said} | head.map
