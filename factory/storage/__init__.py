"""Where finished pictures live. A storage is `storage/x.py` and one line in STORAGES."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from typing import Protocol, cast
from urllib.parse import SplitResult, urlsplit

from factory.errors import Permanent
from factory.storage.links import verify_link
from factory.storage.naming import content_disposition, file_name, object_key

__all__ = ["STORAGES", "Access", "Storage", "StoredObject", "content_disposition", "file_name", "object_key", "open_storage", "verify_link"]

STORAGES = {"file": "factory.storage.folder:FolderStorage", "s3": "factory.storage.s3:S3Storage"}


@dataclass(frozen=True)
class StoredObject:
    """One stored file. `sha256` (hex) is None where the storage would have to read the file to know."""

    key: str
    bytes: int
    sha256: str | None
    modified_at: datetime


@dataclass(frozen=True)
class Access:
    """What a storage may need beside its URL; each takes what it uses."""

    s3_access_key: str = ""
    s3_secret_key: str = field(default="", repr=False)
    public_url: str = ""
    link_secret: str = field(default="", repr=False)


class Storage(Protocol):
    """Objects never change: one key, one content. All methods are safe from several threads.

    Keys are paths with `/`; a hostile one raises Invalid everywhere. StorageDown comes within a bounded time.
    """

    def put(self, key: str, content: bytes, *, media_type: str, sha256: str, filename: str) -> None:
        """Store `content`, whose hex digest is `sha256`; nothing half-written is ever seen.

        The same bytes again are fine. Raises Conflict (the key holds other bytes), Permanent (digest of something else), StorageDown.
        """

    def get(self, key: str) -> bytes:
        """Raises NotFound, StorageDown."""

    def url(self, key: str, *, seconds: int, filename: str) -> str:
        """A link that ends after `seconds` (1 … 604 800) and saves as `filename`. Does not ask whether the object exists."""

    def stat(self, key: str) -> StoredObject | None:
        """None when there is no such object. Raises StorageDown."""

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """All objects whose key starts with `prefix`, in no promised order, `sha256` None. Raises StorageDown."""

    def delete(self, key: str) -> None:
        """Harmless when there is no such object. Raises StorageDown."""

    def check(self) -> None:
        """Cheap: can it be written to? Raises StorageDown, or Permanent when a setting is wrong."""


class _Opens(Protocol):
    @classmethod
    def from_url(cls, url: SplitResult, access: Access) -> Storage: ...


def open_storage(url: str, *, s3_access_key: str = "", s3_secret_key: str = "", public_url: str = "", link_secret: str = "") -> Storage:
    """`file:///folder` or `s3://bucket?endpoint=…&region=…`. Asks no server. Raises Permanent when a setting is wrong."""
    parts = urlsplit(url)
    if parts.scheme not in STORAGES:
        known = ", ".join(f"{scheme}:" for scheme in STORAGES)
        raise Permanent(f"FACTORY_STORAGE_URL starts with {parts.scheme[:20]!r}: use one of {known}")
    module, name = STORAGES[parts.scheme].split(":")
    opens = cast("_Opens", getattr(import_module(module), name))
    return opens.from_url(parts, Access(s3_access_key, s3_secret_key, public_url, link_secret))
