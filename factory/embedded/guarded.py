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

    def kill_all(self) -> None:
        """SIGKILL it and its children at once, as the end of a container would."""
        self._signal(signal.SIGKILL)
        self.stop()

    def freeze(self) -> None:
        """SIGSTOP it and its children: it holds its connections and answers nothing, from the moment that this returns."""
        self._signal(signal.SIGSTOP)
        # The signal is delivered to each thread at its next turn: on a busy machine one of them still answers a request.
        while not all(map(_stands_still, self._family())):
            time.sleep(0.001)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals, *, children: bool = True) -> None:
        for each in self._family() if children else self._family()[:1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(number)

    def _family(self) -> list[psutil.Process]:
        """The command and all that it started; none once it is gone."""
        if not self.alive() or not self.pid:
            return []
        try:
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def _stands_still(process: psutil.Process) -> bool:
    """Whether no thread of it runs any more. On Linux each thread has a state, elsewhere the process has one."""
    try:
        threads = [psutil.Process(thread.id) for thread in process.threads()] if sys.platform == "linux" else [process]
        return all(thread.status() in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE} for thread in threads)
    except psutil.NoSuchProcess:
        return not process.is_running()
