"""Run a server as our child and take it down when whoever started us is gone.

    python guard.py [--stop SIGNAL] [--grace SECONDS] [--pid-file FILE] -- COMMAND ARGS…

Standard input is a pipe that the starter holds and never writes to. Its end (the starter closed it, or was killed −9) means: send
SIGNAL, wait SECONDS, then SIGKILL to the command's process group. On Linux the kernel signals the command if this process itself is
killed. Inherited descriptors (a folder's lock) are passed on. Prints nothing; exits as the command does (128 + n for a signal).
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import types

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--stop", default="SIGTERM")
    parser.add_argument("--grace", type=float, default=10)
    parser.add_argument("--pid-file")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    stop, command = signal.Signals[options.stop], options.command[1:]
    ours = os.getpid()

    def follow_the_guard() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, stop)
            if os.getppid() != ours:
                os._exit(1)

    # The group is the child's own, so that SIGKILL reaches what it forked; PDEATHSIG follows this, our only, thread.
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        close_fds=False,
        start_new_session=True,
        preexec_fn=follow_the_guard,  # noqa: PLW1509
    )
    if options.pid_file:
        fresh = f"{options.pid_file}.new"
        with open(fresh, "w", encoding="ascii") as file:  # noqa: PTH123  (pathlib doubles the start-up time)
            file.write(str(child.pid))
        os.replace(fresh, options.pid_file)  # noqa: PTH105

    watch(child)
    end(child, stop, options.grace)
    return 128 - child.returncode if child.returncode < 0 else child.returncode


class _Over(Exception):
    """The pipe ended, the child did, or we were told to stop."""


def watch(child: subprocess.Popen[bytes]) -> None:
    """Return once there is a reason to stop."""

    def on_child(_signal: int, _frame: types.FrameType | None) -> None:
        if child.poll() is not None:
            raise _Over

    def on_stop(_signal: int, _frame: types.FrameType | None) -> None:
        raise _Over

    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, on_stop)
        signal.signal(signal.SIGCHLD, on_child)
        if child.poll() is None:
            while os.read(0, 4096):
                pass
    except _Over:
        pass
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def end(child: subprocess.Popen[bytes], stop: signal.Signals, grace: float) -> None:
    if child.poll() is None:
        child.send_signal(stop)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
