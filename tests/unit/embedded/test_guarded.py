"""A guarded child ends when it should, how it should, and takes along what it forked."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from factory.embedded.guarded import Guarded

PATIENT = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
POLITE = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print('up', flush=True); time.sleep(60)"
TALKATIVE = """
import os, threading

def talk():
    while True:
        os.write(1, b"still here ")

for _ in range(12):
    threading.Thread(target=talk).start()
"""
PARENT_OF_ONE = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def start(tmp_path, program, **options):
    child = Guarded([sys.executable, "-c", program], log=tmp_path / "child.log", **options)
    assert until(lambda: (tmp_path / "child.log").read_text() or not child.alive())
    return child


def test_stop_asks_first_and_the_exit_code_comes_through(tmp_path):
    child = start(tmp_path, POLITE)
    child.stop()
    assert child.returncode == 7


def test_a_child_that_ignores_the_signal_is_killed_after_its_grace(tmp_path):
    child = start(tmp_path, PATIENT, grace=0.3)
    began = time.monotonic()
    child.stop()
    assert 0.3 <= time.monotonic() - began < 20
    assert child.returncode == 128 + signal.SIGKILL


def test_what_the_child_forked_ends_with_it(tmp_path):
    child = start(tmp_path, PARENT_OF_ONE)
    grandchild = int((tmp_path / "child.log").read_text())
    child.kill()
    assert until(lambda: gone(grandchild))


def test_a_frozen_child_stands_still_and_a_stop_still_ends_it(tmp_path):
    child = start(tmp_path, POLITE)
    child.freeze()
    assert psutil.Process(child.pid).status() == psutil.STATUS_STOPPED
    child.thaw()
    assert until(lambda: psutil.Process(child.pid).status() != psutil.STATUS_STOPPED)
    child.freeze()
    child.stop()
    assert child.returncode == 7


@pytest.mark.parametrize("turn", range(20))
def test_once_frozen_it_says_not_one_more_word_however_busy(turn, tmp_path):
    child = start(tmp_path, TALKATIVE)
    child.freeze()
    said = child.log.stat().st_size
    time.sleep(0.02)
    assert child.log.stat().st_size == said
    child.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_killing_the_guard_itself_ends_the_child(tmp_path):
    child = start(tmp_path, POLITE)
    os.kill(child._guard.pid, signal.SIGKILL)
    assert until(lambda: gone(child.pid))


def test_a_command_that_does_not_exist_is_reported_in_the_log(tmp_path):
    child = Guarded([str(tmp_path / "missing")], log=tmp_path / "child.log")
    assert child.wait(30) != 0
    assert child.pid == 0
    assert "missing" in (tmp_path / "child.log").read_text()


def test_the_guard_is_silent_and_loads_nothing_of_ours(tmp_path):
    timed = [sys.executable, "-X", "importtime", "-m", "factory.embedded.guard", "--", "true"]
    with subprocess.Popen(timed, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as guard:
        guard.wait()  # not communicate(): that would end the pipe, and so the child
        assert guard.stdout
        assert guard.stderr
        assert guard.stdout.read() == ""
        imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in guard.stderr.read().splitlines()}
    assert "subprocess" in imported
    assert imported.isdisjoint({"psutil", "pydantic", "redis", "psycopg", "sqlalchemy", "celery"})
    assert guard.returncode == 0
