"""Which torch this machine gets: never gigabytes without saying so first.

FACTORY_TORCH   what happens
auto            macOS: the default build · NVIDIA card: the default build, size said · else a local CPU wheel that pip's
                configuration offers, else the CPU build by uv's torch backend, else the default build, size said
cpu, cuda       that build or an error
none            no torch; the simulated engine draws
anything else   a requirement, passed on as it is (`torch==2.12.1`, a path to a wheel)
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES = {"auto", "cpu", "cuda", "none"}
QUICK = {"UV_HTTP_TIMEOUT": "5", "UV_HTTP_RETRIES": "0"}


@dataclass
class Attempt:
    """One way to install torch: uv arguments, what to say, and whether a quick dry run decides if it is worth trying."""

    name: str
    arguments: list[str]
    notice: str = ""
    ask_first: bool = False
    find_links: bool = False


def wish() -> str:
    return os.environ.get("FACTORY_TORCH", "").strip() or "auto"


def pin(constraints: Path) -> str:
    """The torch requirement of constraints.txt, `torch==X.Y.Z`."""
    return next(line for line in constraints.read_text().splitlines() if line.startswith("torch=="))


def has_nvidia() -> bool:
    if Path("/proc/driver/nvidia/version").exists():
        return True
    smi = shutil.which("nvidia-smi")
    return bool(smi) and subprocess.run([str(smi), "-L"], capture_output=True, check=False).returncode == 0


def local_wheel(requirement: str, folders: Iterable[Path], python: tuple[int, int]) -> str | None:
    """`torch==X+cpu` when a folder holds that wheel for this Python and machine."""
    version, tag = requirement.split("==")[1], f"cp{python[0]}{python[1]}"
    machine = platform.machine().lower()
    for folder in folders:
        if any(wheel.stem.endswith(machine) for wheel in folder.glob(f"torch-{version}+cpu-{tag}-{tag}-*.whl")):
            return f"torch=={version}+cpu"
    return None


def plan(what: str, requirement: str, folders: Iterable[Path], *, nvidia: bool | None = None, system: str = sys.platform) -> list[Attempt]:
    """The attempts, best first; empty for `none`. The first that works ends the search."""
    if what == "none":
        return []
    if what not in NAMES:
        return [Attempt(f"torch as asked for ({what})", [what], find_links=True)]
    if system == "darwin":
        return [Attempt(f"{requirement}, default build", [requirement], "torch: the default build for macOS, about 100 MB")]
    size = "about 3 GB to download with its CUDA libraries; FACTORY_TORCH=cpu or none avoids it"
    default = Attempt(f"{requirement}, default build", [requirement], f"torch: the default build, {size}")
    if what == "cuda" or (what == "auto" and (has_nvidia() if nvidia is None else nvidia)):
        return [default]
    wheel = local_wheel(requirement, folders, sys.version_info[:2])
    local = [Attempt(f"{wheel}, local wheel", [wheel], find_links=True)] if wheel else []
    backend = Attempt(f"{requirement}, CPU build", [requirement, "--torch-backend", "cpu"], "torch: the CPU build, about 200 MB", True)
    return [*local, backend, *([default] if what == "auto" else [])]
