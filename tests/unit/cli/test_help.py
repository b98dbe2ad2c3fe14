"""The commands as people meet them first."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from factory.cli import app
from tests.cpu_time import least_seconds

ROOT = Path(__file__).resolve().parents[3]
STAY = {"api", "worker", "beat", "flower"}  # processes: they print logs, which are JSON already
HEAVY = ("torch", "celery", "boto3", "sqlalchemy", "fastapi", "numpy", "redis", "httpx", "PIL", "alembic", "pydantic")


def commands(group=None, path=()):
    group = group or get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def test_every_command_speaks_json_and_says_what_it_does():
    found = dict(commands())
    assert len(found) >= 20
    mute = {path for path, command in found.items() if "--json" not in {name for option in command.params for name in option.opts}}
    assert mute == {(name,) for name in STAY}
    assert {path for path, command in found.items() if not command.help} == set()


@pytest.mark.parametrize("words", [[], *([name] for name in ("keys", "jobs", "audit", "checkpoints"))])
def test_help_is_shown(words):
    answer = CliRunner().invoke(app, [*words, "--help"])
    assert answer.exit_code == 0
    assert "Usage" in answer.output


def test_the_terminal_door_opens_fast_and_loads_nothing_heavy():
    seen = f"[name for name in {HEAVY!r} if name in sys.modules]"
    program = f"import sys, json, time; from factory.cli import app; print(json.dumps([{seen}, time.process_time()]))"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # compiling is no part of opening
    loaded: list[str] = []

    def open_the_door():
        told = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
        names, seconds = json.loads(told.stdout)
        loaded.extend(names)
        return seconds

    assert least_seconds(open_the_door, below=0.6) < 0.6
    assert loaded == []


def test_the_module_runs():
    seen = subprocess.run([sys.executable, "-m", "factory", "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert seen.returncode == 0
    assert "Exit codes" in seen.stdout
