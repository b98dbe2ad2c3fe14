"""worker_presence: which GPU processes are alive and what they hold. Each says so every few seconds, from a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.worker_presence import WorkerPresence
from factory.errors import DatabaseDown
from factory.logs import get_logger

log = get_logger(__name__)
BEAT_SECONDS = 5.0
SILENT = timedelta(seconds=60)  # as long as a lease


@dataclass(frozen=True)
class Sign:
    """What a worker says of itself: its checkpoints, last used first; the LoRAs of its last picture; pictures since its last load."""

    resident: list[str]
    lora_key: str
    since_swap: int


def show_presence(db: Database, name: str, sign: Sign, *, silent: timedelta = SILENT) -> None:
    """This worker is alive now, and holds this. Who was `silent` for longer than that has started anew, under the name of before."""
    now = db.now()
    values = {**asdict(sign), "seen_at": now}
    with db.transaction() as session:
        started = case((WorkerPresence.seen_at < now - silent, now), else_=WorkerPresence.started_at)
        statement = insert(WorkerPresence).values(name=name, started_at=now, **values)
        session.execute(statement.on_conflict_do_update(index_elements=[WorkerPresence.name], set_=values | {"started_at": started}))


def leave(db: Database, name: str) -> None:
    """This worker ends in order. One that does not is known by its silence."""
    with db.transaction() as session:
        session.execute(delete(WorkerPresence).where(WorkerPresence.name == name))


def workers_alive(session: Session, now: ColumnElement[Any], *, within: timedelta) -> Sequence[WorkerPresence]:
    """Workers that were seen `within` so long; a lease is a good measure."""
    return session.scalars(select(WorkerPresence).where(WorkerPresence.seen_at > now - within).order_by(WorkerPresence.name)).all()


def forget_silent_workers(db: Database, *, after: timedelta = timedelta(days=1)) -> int:
    """Rows of workers that never said goodbye. Returns how many."""
    with db.transaction() as session:
        gone = delete(WorkerPresence).where(WorkerPresence.seen_at < db.now() - after).returning(WorkerPresence.name)
        return len(session.scalars(gone).all())


class Heartbeat:
    """Shows `sign()` every few seconds until it is closed. No picture waits for it, and a database that is away costs nothing."""

    def __init__(
        self, db: Database, name: str, sign: Callable[[], Sign], *, seconds: float = BEAT_SECONDS, silent: timedelta = SILENT
    ) -> None:
        self._db, self._name, self._sign, self._seconds, self._silent = db, name, sign, seconds, silent
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            self._try(lambda: show_presence(self._db, self._name, self._sign(), silent=self._silent))
            if self._stop.wait(self._seconds):
                break
        self._try(lambda: leave(self._db, self._name))

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except DatabaseDown:
            log.info("presence not shown: the database did not answer")
        except Exception:
            log.exception("presence not shown")
