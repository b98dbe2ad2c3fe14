"""The supervisor of the embedded stack, with roles that are small programs of our own."""

import os
import sys
import time

import psutil
import pytest

from factory.embedded.folder import FolderInUse
from factory.embedded.stack import Role, Stack

IDLE = "import time; print('here', flush=True); time.sleep(600)"


@pytest.fixture
def said():
    return []


@pytest.fixture
def stack(tmp_path, said):
    with Stack(tmp_path / "stack", say=said.append) as made:
        yield made


def start(stack, name, program=IDLE, **about):
    stack.start_role(Role(name, (sys.executable, "-c", program), **about), env=os.environ, cwd=stack.folder)


def tend_until(stack, condition, seconds=90.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, stack.pids()
        stack.tend()
        time.sleep(0.05)


def test_a_role_that_dies_is_started_again_later_each_time_and_it_is_said(stack, said):
    def begun():
        return stack.log_of("idle").read_text().count("here")

    stack.start_servers()
    start(stack, "idle")
    for deaths in (1, 2):
        tend_until(stack, lambda times=deaths: begun() == times)
        before = stack.pids()["idle"]
        psutil.Process(before).kill()
        began = time.monotonic()
        tend_until(stack, lambda gone=before: stack.pids()["idle"] not in (0, gone))
        assert time.monotonic() - began >= 2 ** (deaths - 1) - 0.1
        assert f"idle ended with exit code 137; starting it again in {2 ** (deaths - 1)} s" in said[-1]
    tend_until(stack, lambda: begun() == 3)


def test_a_server_that_dies_comes_back_on_its_port_with_its_data(stack, said):
    import redis

    stack.start_servers()
    redis.Redis.from_url(stack.valkey.url).set("kept", "yes")
    url, before = stack.valkey.url, stack.pids()["valkey"]
    psutil.Process(before).kill()
    tend_until(stack, lambda: stack.pids()["valkey"] not in (0, before))
    assert redis.Redis.from_url(url, decode_responses=True).get("kept") == "yes"
    assert said == ["valkey ended; starting it again, its data is kept"]


def test_waves_end_one_after_the_other(stack):
    stack.start_servers()
    note = "import signal, sys, time; signal.signal(15, lambda *_: (print(time.time(), flush=True), sys.exit())); print('up', flush=True); time.sleep(600)"
    for name, wave in (("last", 2), ("first", 0), ("second", 1)):
        start(stack, name, note, wave=wave)
    tend_until(stack, lambda: all("up" in stack.log_of(name).read_text() for name in ("last", "first", "second")))
    stack.stop()
    ends = {name: float(stack.log_of(name).read_text().split()[-1]) for name in ("first", "second", "last")}
    assert sorted(ends, key=lambda name: ends[name]) == ["first", "second", "last"]


def test_a_stack_leaves_nothing_and_frees_its_folder(stack, said):
    stack.start_servers()
    start(stack, "idle")
    with pytest.raises(FolderInUse):
        Stack(stack.folder, say=said.append)
    pids = [pid for pid in stack.pids().values() if pid]
    stack.stop()
    assert len(pids) == 3
    assert not any(psutil.pid_exists(pid) for pid in pids)
    Stack(stack.folder, say=said.append).stop()
