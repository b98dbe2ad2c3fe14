"""What every embedded server shares: a private folder, a loopback port it keeps, and a start that ends when it answers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from factory.embedded.folder import lock_folder, private_folder
from factory.embedded.guarded import Guarded
from factory.embedded.ports import free_port


class ServerFailed(RuntimeError):
    """A server did not start; the message ends with the last lines of its log."""


class Server:
    """Subclasses give `command()` and `is_ready()`, and may `prepare()` the folder. The port is chosen at the first start and kept.

    `start_seconds` bounds one start; the folder's former server has the same time to end.
    """

    name = "server"
    stop_signal = signal.SIGTERM
    start_seconds = 20.0

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        self.folder = private_folder(folder)
        self.log = self.folder / f"{self.name}.log"
        self.port = port
        self._fixed_port = bool(port)
        self._child: Guarded | None = None

    def prepare(self) -> None:
        """Write what the server needs before each start."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def is_ready(self) -> bool:
        raise NotImplementedError

    def env(self) -> Mapping[str, str]:
        return os.environ

    @property
    def url(self) -> str:
        raise NotImplementedError

    @property
    def pid(self) -> int:
        """The server's own process id; 0 while it does not run."""
        return self._child.pid if self._child and self._child.alive() else 0

    def start(self) -> Self:
        """Start and wait until it answers. Raises ServerFailed, FolderInUse, FileNotFoundError (no program)."""
        if self._child and self._child.alive():
            return self
        until = time.monotonic() + self.start_seconds
        for _ in range(3):
            if not self._fixed_port:
                self.port = free_port()
            lock = lock_folder(self.folder, seconds=self.start_seconds)
            try:
                self.prepare()
                self._child = Guarded(self.command(), log=self.log, env=self.env(), stop_signal=self.stop_signal, pass_fds=(lock,))
            finally:
                os.close(lock)
            if self._answers(until):
                self._fixed_port = True
                return self
            self.stop()
            if self._fixed_port or time.monotonic() > until:
                break  # a port taken between choosing and binding is the one fault that another try mends
        raise ServerFailed(f"{self.name} did not start on port {self.port}; {self.log} ends with:\n{self.last_words()}")

    def _answers(self, until: float) -> bool:
        while time.monotonic() < until and self._child and self._child.alive():
            if self.is_ready():
                return True
            time.sleep(0.02)
        return False

    def last_words(self, lines: int = 10) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def stop(self) -> None:
        """Ask it to end cleanly; its data stays."""
        if self._child:
            self._child.stop()
            self._child = None

    def restart(self) -> Self:
        self.stop()
        return self.start()

    def kill(self) -> None:
        """SIGKILL it, as a crash would. `start()` brings it back on the same port."""
        if self._child:
            self._child.kill()
            self._child = None

    def freeze(self) -> None:
        if self._child:
            self._child.freeze()

    def thaw(self) -> None:
        if self._child:
            self._child.thaw()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
