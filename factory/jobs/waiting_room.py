"""WaitingRoom: finished pictures that the storage could not take yet, on disk, bounded. Their leases go on being renewed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

from factory.errors import StorageDown
from factory.jobs.finish_picture import FinishedPicture
from factory.storage.spool import Spool, SpoolItem


class WaitingRoom:
    """Claims stay in memory and bytes on disk: a restarted worker holds no leases, so what its forerunner spooled is stale."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._pictures: dict[tuple[str, int], FinishedPicture] = {}
        self._guard = threading.Lock()

    def __len__(self) -> int:
        return len(self._pictures)

    def admit(self, finished: FinishedPicture) -> bool:
        """False when the spool is full or its disk fails; the caller keeps the picture then."""
        item = _item(finished)
        try:
            if not self._spool.put(item):
                return False
        except StorageDown:
            return False
        with self._guard:
            self._pictures[item.job_id, item.attempt] = replace(finished, content=b"")
        return True

    def waiting(self) -> Iterator[FinishedPicture]:
        """Everything that waits, oldest first; bytes are read back one picture at a time.

        Last come those whose bytes the disk no longer has, with empty content. Raises StorageDown when the disk fails.
        """
        with self._guard:
            unseen = dict(self._pictures)
        for item in self._spool.items():
            picture = unseen.pop((item.job_id, item.attempt), None)
            if picture is not None:
                yield replace(picture, content=item.content)
        yield from unseen.values()

    def leave(self, finished: FinishedPicture) -> None:
        item = _item(finished)
        self._spool.remove(item)
        with self._guard:
            self._pictures.pop((item.job_id, item.attempt), None)


def _item(finished: FinishedPicture) -> SpoolItem:
    claim, record = finished.claim, finished.record
    return SpoolItem(
        job_id=str(claim.job_id),
        attempt=claim.attempt,
        key=record.key,
        content=finished.content,
        filename=record.filename,
        media_type=record.media_type,
        sha256=record.sha256,
        facts={},
    )
