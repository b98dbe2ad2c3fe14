"""templates: save, find and list. A saved version is never edited: saving again makes the next one."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, aliased

from factory.db import Database
from factory.domain.audit_event import AuditAction
from factory.domain.caller import Caller
from factory.domain.lint_template import errors_of, lint_template
from factory.domain.row import new_id
from factory.domain.template import Template
from factory.domain.template_body import TemplateBody, TemplateVersion
from factory.errors import Invalid, NotFound
from factory.jobs.log_event import log_event
from factory.jobs.one_at_a_time import wait_for_lock
from factory.market import market_template

FindTemplate = Callable[[str], TemplateVersion | None]
MOST_DIGITS = 6


@dataclass(frozen=True)
class SavedTemplate:
    """`is_new` is false when the newest version said the same already."""

    row: Template
    is_new: bool


def save_template(db: Database, caller: Caller, body: TemplateBody) -> SavedTemplate:
    """Make `body` the newest version of its name. Raises Invalid for what the linter calls an error."""
    if wrong := errors_of(lint_template(body)):
        raise Invalid(None, *wrong)
    with db.transaction() as session:
        # Two who save one name at once get two numbers, not one error.
        wait_for_lock(session, f"template\x1f{caller.tenant}\x1f{body.name}")
        newest = _newest(session, caller.tenant, body.name)
        if newest is not None and newest.sha256 == body.sha256:
            return SavedTemplate(newest, is_new=False)
        version = newest.version + 1 if newest else 1
        values = {"tenant": caller.tenant, "name": body.name, "version": version, "key_id": caller.key_id}
        made = insert(Template).values(id=new_id(), body=body.as_json(), sha256=body.sha256, created_at=db.now(), **values)
        row = session.scalars(made.returning(Template)).one()
        log_event(
            session,
            now=db.now(),
            tenant=caller.tenant,
            actor=caller.actor,
            action=AuditAction.TEMPLATE_SAVED,
            detail={"template": f"{body.name}@{version}", "sha256": body.sha256},
        )
        return SavedTemplate(row, is_new=True)


def find_template(db: Database, *, tenant: str, reference: str) -> Template:
    """By `name@version`, or the newest by `name`. Raises NotFound."""
    with db.transaction() as session:
        row = _named(session, tenant, reference)
    if row is None:
        raise NotFound(f"no template {reference[:80]!r} belongs to your tenant; `GET /api/v1/templates` lists those that do")
    return row


def list_templates(db: Database, *, tenant: str, before: uuid.UUID | None = None, limit: int = 50) -> list[Template]:
    """The newest version of each, the last saved first; `before` is the id where the page before ended."""
    newest = aliased(
        Template,
        select(Template)
        .where(Template.tenant == tenant)
        .ext(distinct_on(Template.name))
        .order_by(Template.name, Template.version.desc())
        .subquery(),
    )
    wanted = select(newest).order_by(newest.id.desc()).limit(limit)
    with db.transaction() as session:
        return list(session.scalars(wanted.where(newest.id < before) if before else wanted))


def list_versions(db: Database, *, tenant: str, name: str, limit: int = 200) -> list[Template]:
    """Newest first. Raises NotFound for a name without any."""
    wanted = select(Template).where(Template.tenant == tenant, Template.name == name).order_by(Template.version.desc()).limit(limit)
    with db.transaction() as session:
        found = list(session.scalars(wanted))
    if not found:
        raise NotFound(f"no template {name[:80]!r} belongs to your tenant; `GET /api/v1/templates` lists those that do")
    return found


def market_offer(db: Database, *, tenant: str, reference: str) -> TemplateBody | None:
    """The market's, where the tenant has none of that name: what its first order by it would save as version 1."""
    name, _, version = reference.partition("@")
    if version not in ("", "1"):
        return None
    with db.transaction() as session:
        is_own = _newest(session, tenant, name) is not None
    return None if is_own else market_template(name)


def template_finder(db: Database, caller: Caller, *, keep: bool = True) -> FindTemplate:
    """Looks a reference up once, however many rows of a request name it.

    A template of the market becomes the tenant's own, as version 1, when an order names it first: what was ordered by it stays in sight
    whatever a later release ships. Who only asks (`keep` false) is answered as if it had, and nothing is written.
    """

    @cache
    def find(reference: str) -> TemplateVersion | None:
        with db.transaction() as session:
            row = _named(session, caller.tenant, reference)
        if row is None and (body := market_offer(db, tenant=caller.tenant, reference=reference)):
            if not keep:
                return TemplateVersion(body, 1)
            row = save_template(db, caller, body).row
        return None if row is None else version_of(row)

    return find


def version_of(row: Template) -> TemplateVersion:
    return TemplateVersion(TemplateBody.model_validate(row.body), row.version)


def _named(session: Session, tenant: str, reference: str) -> Template | None:
    name, at, version = reference.partition("@")
    if not at:
        return _newest(session, tenant, name)
    if not version.isascii() or not version.isdigit() or len(version) > MOST_DIGITS:
        return None
    wanted = select(Template).where(Template.tenant == tenant, Template.name == name, Template.version == int(version))
    return session.scalars(wanted).one_or_none()


def _newest(session: Session, tenant: str, name: str) -> Template | None:
    wanted = select(Template).where(Template.tenant == tenant, Template.name == name)
    return session.scalars(wanted.order_by(Template.version.desc()).limit(1)).one_or_none()
