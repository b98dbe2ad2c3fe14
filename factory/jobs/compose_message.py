"""compose_message: a delivery becomes the message that a notifier sends, with a picture of the order where the chat can show one."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from factory.db import Database
from factory.domain.asset import Asset
from factory.domain.job import Job
from factory.errors import FactoryError
from factory.jobs.take_deliveries import Taken
from factory.logs import get_logger
from factory.notify.card import card_of
from factory.notify.courier import Courier
from factory.notify.feishu_pictures import FeishuPictures
from factory.notify.message import Message, Wants
from factory.postprocess.thumbnail import thumbnail
from factory.storage import Storage

log = get_logger(__name__)


@dataclass(frozen=True)
class Mailroom:
    """What delivering needs. Without `storage` cards have no picture; Feishu's need `pictures`, the others' a link of `link_seconds`."""

    courier: Courier
    storage: Storage | None = None
    link_seconds: int = 3600
    pictures: FeishuPictures | None = None


def compose_message(db: Database, mailroom: Mailroom, taken: Taken, wants: Wants) -> Message:
    """A card without its picture is better than no card: a storage that is away holds nothing up."""
    picture: dict[str, str] = {}
    if mailroom.storage is not None and (wants is Wants.LINK or (wants is Wants.UPLOAD and mailroom.pictures)):
        try:
            picture = _picture(db, mailroom, mailroom.storage, taken, wants)
        except FactoryError as fault:
            log.warning("card without its picture", delivery=str(taken.id), code=fault.code, detail=str(fault))
    return Message(str(taken.id), taken.payload, card_of(taken.payload, **picture))


def _picture(db: Database, mailroom: Mailroom, storage: Storage, taken: Taken, wants: Wants) -> dict[str, str]:
    asset = _first_asset(db, taken.tenant, taken.payload.get("data", {}))
    if asset is None:
        return {}
    if wants is Wants.LINK:
        url = storage.url(asset.key, seconds=mailroom.link_seconds, filename=asset.filename)
        # The chat's own servers fetch it: what only this machine can open is no picture to them.
        return {"picture_url": url} if url.startswith("https://") else {}
    pictures = mailroom.pictures
    return {"picture_key": pictures.upload(thumbnail(storage.get(asset.key)))} if pictures else {}


def _first_asset(db: Database, tenant: str, data: Mapping[str, Any]) -> Asset | None:
    """Of the job, or of the first row of the batch that has one."""
    kind, name = data.get("object"), data.get("id")
    if kind not in {"job", "batch"} or not name:
        return None
    which: Any = Job.id if kind == "job" else Job.batch_id
    statement = (
        select(Asset)
        .join(Job, Asset.job_id == func.coalesce(Job.twin_id, Job.id))
        .where(which == uuid.UUID(name), Job.tenant == tenant, Asset.tenant == tenant, Asset.deleted_at.is_(None))
        .where(Job.status == "succeeded")
        .order_by(Job.row_no, Job.id)
        .limit(1)
    )
    with db.transaction() as session:
        return session.scalars(statement).first()
