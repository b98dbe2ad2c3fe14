"""One FACTORY_HOME, the `factory up` that runs in it, and which of its processes are left."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
FACTORY = [sys.executable, "-m", "factory"]


class House:
    """One FACTORY_HOME and the `factory up` that runs in it."""

    def __init__(self, folder, name="home"):
        self.folder, self.name = folder, name
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FACTORY_", "PYTHONDONTWRITE"))}
        self.env = {**kept, "FACTORY_HOME": str(folder / name), "FACTORY_DEMO_ENGINE": "simulated", "FACTORY_SIMULATED_SECONDS": "0.1"}
        self.up: subprocess.Popen[bytes] | None = None

    @property
    def facts_file(self):
        return self.folder / self.name / "running.json"

    def start(self):
        self.up = subprocess.Popen([*FACTORY, "up", "--json"], cwd=ROOT, env=self.env, stdout=subprocess.PIPE, stderr=self.log.open("wb"))
        until = time.monotonic() + 180
        while not self.facts_file.exists() or json.loads(self.facts_file.read_text())["pid"] != self.up.pid:
            assert self.up.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.1)
        return json.loads(self.facts_file.read_text())

    @property
    def log(self):
        return self.folder / "up.log"

    def factory(self, *words, code=0):
        done = subprocess.run([*FACTORY, *words], cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def family(self):
        return psutil.Process(self.up.pid).children(recursive=True) if self.up else []

    def close(self):
        if self.up and self.up.poll() is None:
            self.up.send_signal(signal.SIGTERM)
            self.up.wait(120)


def lives(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def named_after(folder):
    """Processes whose command names it: at least the guard of everything that runs in it."""
    return [one for one in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(one.info["cmdline"] or [])]


def gone_within(processes, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        living = [one for one in processes if lives(one)]
        if not living:
            return True
        time.sleep(0.1)
    return False
