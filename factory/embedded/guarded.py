"""One guarded child process: start it, stop it, hurt it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from factory.embedded import guard


class Guarded:
    """`command` as a child that does not outlive us. Its output goes to `log`; `stop_signal` asks it to end, SIGKILL follows after `grace` s.

    Start it from a thread that lives as long as the child should, the main thread as a rule.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: float = 10,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.log, self.grace = log, grace
        pid_file = log.with_suffix(".pid")
        pid_file.unlink(missing_ok=True)
        # -I -S: the guard needs the standard library only, and starts in a third of the time.
        guarding = [
            sys.executable,
            "-I",
            "-S",
            guard.__file__,
            "--stop",
            stop_signal.name,
            "--grace",
            str(grace),
            "--pid-file",
            str(pid_file),
        ]
        with log.open("ab") as out:
            self._guard = subprocess.Popen(
                [*guarding, "--", *command],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                env=env,
                cwd=cwd,
                pass_fds=pass_fds,
                start_new_session=True,  # Ctrl-C in the terminal is ours to handle, not theirs
            )
        self.pid = self._read_pid(pid_file)

    def _read_pid(self, pid_file: Path) -> int:
        """The pid of the real command, not the guard's; 0 when the guard could not start it."""
        while True:
            with contextlib.suppress(FileNotFoundError):
                return int(pid_file.read_text())
            if self._guard.poll() is not None and not pid_file.exists():
                return 0
            time.sleep(0.005)

    def alive(self) -> bool:
        return self._guard.poll() is None

    @property
    def returncode(self) -> int | None:
        """None while it runs; 128 + n after signal n."""
        return self._guard.poll()

    def wait(self, seconds: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        return self._guard.wait(seconds)

    def stop(self) -> None:
        """Ask it to end, wait until it is gone. Harmless when it is."""
        self.thaw()
        if self._guard.stdin:
            self._guard.stdin.close()
        try:
            self._guard.wait(self.grace + 5)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._guard.kill()
            self._guard.wait()

    def kill(self) -> None:
        """SIGKILL the command itself, as a crash would, and wait until it is gone."""
        self._signal(signal.SIGKILL, children=False)
        self.stop()

    def freeze(self) -> None:
        """SIGSTOP it and its children: it holds its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals, *, children: bool = True) -> None:
        if not self.alive() or not self.pid:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            for each in [process, *(process.children(recursive=True) if children else [])]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.send_signal(number)
