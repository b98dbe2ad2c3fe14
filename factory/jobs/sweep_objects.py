"""sweep_objects: stored files that no asset names are deleted, once they are old enough that nobody can still be closing them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from sqlalchemy import select

from factory.db import Database
from factory.domain.job import Job
from factory.domain.status import JobStatus
from factory.jobs.find_assets import known_keys
from factory.storage import Storage, StoredObject
from factory.storage.naming import object_key

PAGE = 500


def sweep_objects(db: Database, storage: Storage, *, older_than: timedelta) -> int:
    """Returns how many objects were deleted. A running attempt's object stays, however old: its close may be on its way.

    The order makes it safe at any age: an object is listed, then the running attempts are read, then the assets. An
    attempt that had stored it and closes meanwhile is found in one or the other. Keep `older_than` above the age of the
    oldest database backup that may be restored.
    """
    oldest = datetime.now(UTC) - older_than
    swept = 0
    for page in _pages(item for item in storage.list() if item.modified_at < oldest):
        kept = _keys_of_running(db)
        kept |= known_keys(db, [item.key for item in page])
        for item in page:
            if item.key not in kept:
                storage.delete(item.key)
                swept += 1
    return swept


def _keys_of_running(db: Database) -> set[str]:
    with db.transaction() as session:
        rows = session.execute(
            select(Job.tenant, Job.project, Job.day, Job.seq, Job.attempt).where(Job.status == JobStatus.RUNNING.value)
        ).all()
    return {object_key(*row) for row in rows}


def _pages(items: Iterable[StoredObject]) -> Iterator[list[StoredObject]]:
    source = iter(items)
    while page := list(islice(source, PAGE)):
        yield page
