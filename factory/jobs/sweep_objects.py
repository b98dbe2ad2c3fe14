"""sweep_objects: stored files of our own jobs that no asset names are deleted, once they are old enough that nobody can still be closing them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from sqlalchemy import text

from factory.db import Database
from factory.domain.status import JobStatus
from factory.jobs.find_assets import known_keys
from factory.logs import get_logger
from factory.storage import Storage, StoredObject
from factory.storage.naming import parse_object_key

log = get_logger(__name__)
PAGE = 500
LAST_SEQ = 2**31 - 1  # of the column; a stranger's file may have any number
# Four arrays, as in `among`: an IN of tuples is a statement of its own for each count of keys.
ATTEMPTS = text("""
SELECT tenant, project, day, seq, attempt, status FROM jobs JOIN
  unnest(CAST(:tenants AS text[]), CAST(:projects AS text[]), CAST(:days AS date[]), CAST(:seqs AS integer[]))
  AS asked (tenant, project, day, seq) USING (tenant, project, day, seq)
""")
OWNERS = "factory-owners.txt/"  # a dot, so that it can be no tenant's folder


def sweep_objects(db: Database, storage: Storage, *, older_than: timedelta) -> int:
    """Returns how many objects were deleted. A running attempt's object stays, however old: its close may be on its way.

    Only an object named after a job of this database can go, and none while another factory uses this storage too.
    The order makes it safe at any age: an object is listed, then the jobs are read, then the assets. An attempt that
    had stored it and closes meanwhile is found in one or the other. Keep `older_than` above the age of the oldest
    database backup that may be restored.
    """
    if others := _other_owners(db, storage):
        log.warning("nothing swept: the storage has other owners; delete the marks of those that are gone", marks=others)
        return 0
    oldest = datetime.now(UTC) - older_than
    swept = 0
    for page in _pages(item for item in storage.list() if item.modified_at < oldest):
        orphans = _orphans_of_jobs(db, page)
        for key in orphans - known_keys(db, list(orphans)):
            storage.delete(key)
            swept += 1
    return swept


def _other_owners(db: Database, storage: Storage) -> list[str]:
    """Leave the mark of this database; returns the marks of others. A database restored into another server is another one."""
    with db.transaction() as session:
        server, name = session.execute(text("SELECT system_identifier, current_database() FROM pg_control_system()")).one()
    content = f"The factory of database {name!r} of server {server} keeps its pictures here.\n".encode()
    sha256 = hashlib.sha256(content).hexdigest()
    own = f"{OWNERS}{sha256[:16]}"
    storage.put(own, content, media_type="text/plain; charset=utf-8", sha256=sha256, filename="owner.txt")
    return sorted({item.key for item in storage.list(OWNERS)} - {own})


def _orphans_of_jobs(db: Database, page: Iterable[StoredObject]) -> set[str]:
    """The keys that were given to an attempt of a job of ours, without those of attempts that still run."""
    named = {item.key: parts for item in page if (parts := parse_object_key(item.key))}
    asked = {parts[:4] for parts in named.values() if parts[3] <= LAST_SEQ}
    columns = {name: [parts[n] for parts in asked] for n, name in enumerate(("tenants", "projects", "days", "seqs"))}
    with db.transaction() as session:
        rows = session.execute(ATTEMPTS, columns).all()
    last = {tuple(row[:4]): (row.attempt, row.status == JobStatus.RUNNING.value) for row in rows}
    orphans = set()
    for key, parts in named.items():
        attempt, (given, runs) = parts[4], last.get(parts[:4], (0, False))
        if attempt < given or (attempt == given and not runs):
            orphans.add(key)
    return orphans


def _pages(items: Iterable[StoredObject]) -> Iterator[list[StoredObject]]:
    source = iter(items)
    while page := list(islice(source, PAGE)):
        yield page
