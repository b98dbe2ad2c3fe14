"""Make `.venv` in this checkout from the hash-locked requirements, then run a command in it.

    python3 scripts/bootstrap.py [--profile run|dev] [-- COMMAND ARGS…]

Standard library only. A warm call compares one stamp file and takes milliseconds; two at once wait for each other.
FACTORY_TORCH=auto|cpu|cuda|none|<requirement> says which torch to install (scripts/torch_choice.py).
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import launcher
import pip_settings
import torch_choice

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "requirements"
STAMP = VENV / "factory-stamp.json"
LOCKS = {"run": ["core", "engine"], "dev": ["core", "engine", "dev"]}
OLDEST = (3, 11)


class SetupError(Exception):
    """Set-up cannot go on; the message says what to do."""


def say(text: str) -> None:
    print(f"set-up: {text}", file=sys.stderr, flush=True)


def with_suitable_python() -> None:
    """Run again under the newest python3.N on PATH when this one is too old."""
    if sys.version_info >= OLDEST:
        return
    folders = os.environ.get("PATH", "").split(os.pathsep)
    for found in (f"{folder}/python3.{minor}" for minor in (14, 13, 12, 11) for folder in folders):
        # A shim of a version switcher may be there and refuse.
        if os.access(found, os.X_OK) and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            os.execv(found, [found, *sys.argv])
    raise SetupError(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}. Install python3.11 (or set PYTHON=… for make).")


def wanted(profile: str) -> dict[str, str]:
    """What the stamp holds once `profile` is installed: a hash per lock, the torch wish, and where and for whom it was built."""
    files = {name: f"{name}.lock" for name in LOCKS[profile]} | {"constraints": "constraints.txt"}
    sums = {name: hashlib.sha256((REQUIREMENTS / file).read_bytes()).hexdigest() for name, file in files.items()}
    return {**sums, "torch": torch_choice.wish(), "python": ".".join(map(str, sys.version_info[:2])), "path": str(VENV)}


def stamped() -> dict[str, str]:
    try:
        return dict(json.loads(STAMP.read_text()))
    except (OSError, ValueError):
        return {}


def is_ready(profile: str) -> bool:
    return PYTHON.exists() and wanted(profile).items() <= stamped().items()


def write_stamp(content: dict[str, str]) -> None:
    fresh = STAMP.with_suffix(".new")
    fresh.write_text(json.dumps(content, indent=1))
    fresh.replace(STAMP)


def run(command: list[str], what: str, *, env: dict[str, str] | None = None, seconds: float | None = None, shown: bool = False) -> None:
    """Run a set-up step, quietly unless `shown`, and say how long it took. Raises SetupError with the step's own words."""
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, env=env, stdout=subprocess.PIPE, stderr=None if shown else subprocess.PIPE, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as slow:
        raise SetupError(f"{what}: no answer within {seconds:.0f} s") from slow
    if done.returncode:
        raise SetupError(f"{what} failed:\n{(done.stderr or done.stdout or 'see above').strip()}")
    say(f"{what} ({time.monotonic() - began:.1f} s)")


def make_venv(old: dict[str, str]) -> None:
    """Create `.venv`; rebuild it when it was copied from elsewhere, made by another Python, or no longer runs."""
    now = {key: wanted("run")[key] for key in ("path", "python")}
    runs = PYTHON.exists() and subprocess.run([str(PYTHON), "-c", ""], capture_output=True, check=False).returncode == 0
    if runs and all(old.get(key, value) == value for key, value in now.items()):
        return
    if VENV.is_symlink():
        raise SetupError(f".venv is a link to {VENV.resolve()}, which would be emptied. Remove the link: this checkout gets its own.")
    try:
        import ensurepip  # noqa: F401  (Debian ships it apart)

        run([sys.executable, "-m", "venv", "--clear", str(VENV)], f"virtual environment .venv, Python {now['python']}")
    except ImportError:
        uv = shutil.which("uv")
        if not uv:
            hint = "this Python has no ensurepip. Install it (Debian, Ubuntu: apt install python3-venv) or put `uv` on PATH"
            raise SetupError(hint) from None
        run([uv, "venv", "--clear", "--python", sys.executable, str(VENV)], f"virtual environment .venv by uv, Python {now['python']}")
    write_stamp(now)


def find_uv() -> str:
    """Install the pinned uv by the environment's own pip; else the one on PATH."""
    own, elsewhere = VENV / "bin" / "uv", shutil.which("uv")
    lock = REQUIREMENTS / "uv.lock"
    pinned = lock.read_text().split("uv==", 1)[1].split()[0]
    if own.exists() and pinned in subprocess.run([str(own), "--version"], capture_output=True, text=True, check=False).stdout:
        return str(own)
    try:
        run([str(PYTHON), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)], f"uv {pinned}")
    except SetupError:
        if not elsewhere:
            raise
        return elsewhere
    return str(own)


def install_torch(uv: str, pip: pip_settings.PipSettings, env: dict[str, str], *, changed: bool) -> None:
    """Try the plan's attempts in order. Raises SetupError with every failure when none works."""
    what = torch_choice.wish()
    requirement = torch_choice.pin(REQUIREMENTS / "constraints.txt")
    files = ["core.lock", "engine.lock", *(["constraints.txt"] if what in torch_choice.NAMES else [])]
    base = [uv, "pip", "install", "--python", str(PYTHON), *pip.cache, *(["--reinstall-package", "torch"] if changed else [])]
    base += [part for file in files for part in ("-c", str(REQUIREMENTS / file))]
    failures = []
    for attempt in torch_choice.plan(what, requirement, pip.wheel_folders()):
        command = [*base, *pip.indexes, *(pip.find_links if attempt.find_links else []), *attempt.arguments]
        try:
            if attempt.ask_first:
                run([*command, "--dry-run"], f"asked for {attempt.name}", env={**env, **torch_choice.QUICK}, seconds=20)
            if attempt.notice:
                say(attempt.notice)
            return run(command, attempt.name, env=env, shown=bool(attempt.notice))
        except SetupError as error:
            failures.append(str(error))
            say(str(error).splitlines()[0].rstrip(":"))
    if failures:
        raise SetupError("no torch could be installed. FACTORY_TORCH=none draws with the simulated engine.\n" + "\n".join(failures))
    subprocess.run([uv, "pip", "uninstall", "--quiet", "--python", str(PYTHON), "torch"], capture_output=True, check=False)
    return say("no torch, as FACTORY_TORCH=none asks: the simulated engine will draw")


def install(profile: str) -> None:
    began, old = time.monotonic(), stamped()
    make_venv(old)
    write_stamp({key: wanted(profile)[key] for key in ("path", "python")})  # until all is in, the stamp promises nothing more
    uv, pip = find_uv(), pip_settings.read(PYTHON)
    for warning in pip.warnings:
        say(warning)
    env = {**os.environ, **pip.env}
    base = [uv, "pip", "install", "--quiet", "--python", str(PYTHON), *pip.cache, *pip.indexes, *pip.find_links]
    files = [part for name in LOCKS[profile] for part in ("-r", str(REQUIREMENTS / f"{name}.lock"))]
    run([*base, "--require-hashes", "--no-deps", *files], f"packages: {', '.join(LOCKS[profile])}", env=env)
    install_torch(uv, pip, env, changed=old.get("torch", torch_choice.wish()) != torch_choice.wish())
    write_stamp({**{key: value for key, value in old.items() if key == "dev"}, **wanted(profile)})
    say(f"ready in {time.monotonic() - began:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--profile", choices=sorted(LOCKS), default="run", help="run: to use the factory; dev: to work on it")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to run in the environment, after --")
    options = parser.parse_args()
    with_suitable_python()
    if not is_ready(options.profile):
        lock = os.open(REQUIREMENTS, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_ready(options.profile):
            install(options.profile)
        os.close(lock)
    launcher.write(VENV, ROOT)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if command:
        bin_ = VENV / "bin"
        os.environ.update(VIRTUAL_ENV=str(VENV), PATH=f"{bin_}{os.pathsep}{os.environ.get('PATH', '')}")
        os.environ.pop("PYTHONHOME", None)
        os.execvp(command[0], command)


if __name__ == "__main__":
    try:
        main()
    except SetupError as error:
        sys.exit(f"set-up: {error}")
    except KeyboardInterrupt:
        sys.exit("set-up: interrupted; the next call goes on from here")
