"""deliver: finished bytes go to the storage, and only then does the job succeed. Waits out a storage or database that is away."""

from __future__ import annotations

from collections.abc import Callable

from tenacity import Retrying, retry_if_exception_type, wait_exponential_jitter

from factory.db import Database
from factory.errors import Conflict, DatabaseDown, Transient
from factory.jobs.close_job import close_job
from factory.jobs.finish_picture import FinishedPicture
from factory.storage import Storage


def store(finished: FinishedPicture, storage: Storage) -> None:
    """Put the object under the key of this attempt. Raises StorageDown; Transient when that key holds other bytes."""
    record = finished.record
    try:
        storage.put(record.key, finished.content, media_type=record.media_type, sha256=record.sha256, filename=record.filename)
    except Conflict as fault:
        # Left there under an earlier database. If another worker is this attempt by now, the end of ours is fenced off.
        raise Transient(f"the storage holds another file as {record.key!r}; the next attempt has a name of its own") from fault


def close_when_possible(db: Database, finished: FinishedPicture, require: Callable[[], None]) -> None:
    """Close the job, for as long as the database is away and the lease is not known to be lost.

    A close that committed unseen (the connection broke after the commit) ends in LeaseLost here, which is harmless: the
    job has succeeded, and the object stays because an asset names it.
    """
    for attempt in Retrying(retry=retry_if_exception_type(DatabaseDown), wait=wait_exponential_jitter(0.2, 5), reraise=True):
        with attempt:
            require()
            close_job(db, finished.claim, finished.record)
