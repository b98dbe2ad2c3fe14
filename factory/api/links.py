"""Links: where a client finds a thing, as absolute addresses."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from factory.domain.asset import Asset
from factory.storage import Storage

API = "/api/v1"


@dataclass(frozen=True)
class Links:
    """`public_url` is where clients reach us; signed links to files live `seconds`."""

    storage: Storage
    public_url: str
    seconds: int

    def to(self, *parts: object) -> str:
        return "/".join([self.public_url.rstrip("/") + API, *map(str, parts)])

    def job(self, job_id: uuid.UUID, batch_id: uuid.UUID | None, asset: Asset | None) -> dict[str, str]:
        """Nothing points at a picture before it is delivered."""
        here = self.to("jobs", job_id)
        found = {"self": here, **{name: f"{here}/{name}" for name in ("events", "cancel", "explain", "lineage")}}
        if batch_id:
            found["batch"] = self.to("batches", batch_id)
        if asset:
            found |= {"asset": self.to("assets", asset.id), "permanent": self.permanent(asset)}
        return found

    def batch(self, batch_id: uuid.UUID) -> dict[str, str]:
        here = self.to("batches", batch_id)
        found = {"self": here, "manifest": f"{here}/manifest.csv", "archive": f"{here}/archive.zip"}
        return found | {name: f"{here}/{name}" for name in ("jobs", "rows", "events", "cancel", "pause", "resume", "priority", "retry")}

    def permanent(self, asset: Asset) -> str:
        """Asks for the key and forwards to a fresh signed link; valid as long as the asset is kept."""
        return self.to("assets", asset.id, "content")

    def signed(self, asset: Asset, seconds: int | None = None) -> str:
        return self.storage.url(asset.key, seconds=seconds or self.seconds, filename=asset.filename)
