"""The embedded stack: Valkey, Postgres and role processes in one folder. Whatever dies is started again; all is gone when we are."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from factory.embedded.folder import lock_folder, private_folder
from factory.embedded.guarded import Guarded
from factory.embedded.postgres import Postgres
from factory.embedded.server import Server, ServerFailed
from factory.embedded.valkey import Valkey

LONGEST_WAIT = 30.0
STEADY = 60.0
LARGEST_LOG = 16 * 1024 * 1024


@dataclass(frozen=True)
class Role:
    """One process of the factory. `grace` is how many seconds it has to end before it is killed; `wave` orders the end, lowest first."""

    name: str
    command: tuple[str, ...]
    grace: float = 10
    wave: int = 0


@dataclass
class _Post:
    """A role's place: who holds it now, and how often its holders died of late."""

    role: Role
    env: Mapping[str, str]
    cwd: Path
    child: Guarded
    since: float = field(default_factory=time.monotonic)
    deaths: int = 0
    again_at: float | None = None


class Stack:
    """Owns `folder`: raises FolderInUse when another stack does. `say` is told, in one line, whatever a person should know.

    Call from the main thread: the processes end with the thread that started them.
    """

    def __init__(self, folder: Path, *, say: Callable[[str], None]) -> None:
        self.folder = private_folder(folder)
        self._lock = lock_folder(self.folder, seconds=0)
        self.logs = private_folder(self.folder / "logs")
        self.valkey, self.postgres = Valkey(self.folder / "valkey"), Postgres(self.folder / "postgres")
        self._say = say
        self._posts: dict[str, _Post] = {}

    def start_servers(self) -> None:
        """Raises ServerFailed, FileNotFoundError (a package is missing)."""
        self.valkey.start()
        self.postgres.start()

    def start_role(self, role: Role, *, env: Mapping[str, str], cwd: Path) -> None:
        """Start a role process and look after it from now on; its output goes to `logs/<name>.log`."""
        self._posts[role.name] = _Post(role, env, cwd, self._spawn(role, env, cwd))

    def _spawn(self, role: Role, env: Mapping[str, str], cwd: Path) -> Guarded:
        log = self.log_of(role.name)
        if log.exists() and log.stat().st_size > LARGEST_LOG:
            log.replace(log.with_suffix(".log.1"))
        return Guarded(role.command, log=log, env=env, cwd=cwd, grace=role.grace)

    def log_of(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def alive(self, name: str) -> bool:
        return self._posts[name].child.alive()

    def pids(self) -> dict[str, int]:
        """The process id of every server and role; 0 for one that does not run now."""
        servers = {server.name: server.pid for server in (self.valkey, self.postgres)}
        return servers | {name: post.child.pid if post.child.alive() else 0 for name, post in self._posts.items()}

    def tend(self) -> None:
        """One look around: start again what died. Call it a few times a second."""
        for server in (self.valkey, self.postgres):
            if not server.pid:
                self._revive(server)
        for post in self._posts.values():
            if not post.child.alive():
                self._relieve(post)

    def _revive(self, server: Server) -> None:
        self._say(f"{server.name} ended; starting it again, its data is kept")
        try:
            server.start()
        except ServerFailed as failure:
            self._say(str(failure))

    def _relieve(self, post: _Post) -> None:
        """Not before its pause is over, which doubles with each death in a row."""
        now = time.monotonic()
        if post.again_at is None:
            post.deaths = 1 if now - post.since > STEADY else post.deaths + 1
            wait = min(LONGEST_WAIT, 2.0 ** (post.deaths - 1))
            post.again_at = now + wait
            log = self.log_of(post.role.name)
            self._say(f"{post.role.name} ended with exit code {post.child.returncode}; starting it again in {wait:.0f} s (see {log})")
        elif now >= post.again_at:
            post.child, post.since, post.again_at = self._spawn(post.role, post.env, post.cwd), now, None

    def stop(self) -> None:
        """End everything in order, the roles wave by wave, then the servers. Data stays. Harmless when repeated."""
        for wave in sorted({post.role.wave for post in self._posts.values()}):
            _all_at_once(post.child.stop for post in self._posts.values() if post.role.wave == wave)
        self._posts.clear()
        _all_at_once((self.valkey.stop, self.postgres.stop))
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _all_at_once(calls: Iterable[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(max_workers=8) as pool:
        for outcome in [pool.submit(call) for call in calls]:
            outcome.result()
