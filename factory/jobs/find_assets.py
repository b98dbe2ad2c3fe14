"""find_assets: finished files by id, and which stored objects count."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import select

from factory.db import Database, among
from factory.domain.asset import Asset
from factory.errors import NotFound


def find_asset(db: Database, *, tenant: str, asset_id: uuid.UUID) -> Asset:
    """Raises NotFound, also for another tenant's."""
    with db.transaction() as session:
        asset = session.scalars(select(Asset).where(Asset.tenant == tenant, Asset.id == asset_id)).first()
    if asset is None:
        raise NotFound(f"no asset {asset_id} belongs to your tenant")
    if asset.deleted_at:
        raise NotFound(f"asset {asset_id} was deleted on {asset.deleted_at:%Y-%m-%d}: its retention has ended", code="asset_expired")
    return asset


def known_keys(db: Database, keys: Sequence[str]) -> set[str]:
    """Which of these storage keys an asset names."""
    with db.transaction() as session:
        return set(session.scalars(select(Asset.key).where(among(Asset.key, keys))))
