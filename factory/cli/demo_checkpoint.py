"""The demo checkpoint: the one that the project ships where torch is installed, else a card for the simulated engine."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from factory.cli.exit_codes import Failed
from factory.cli.home import ROOT

SHIPPED = ROOT / "demo" / "checkpoint"


def drawing_engine() -> str:
    """`zimage` when its libraries are here. FACTORY_DEMO_ENGINE=simulated asks for the quick one."""
    if os.environ.get("FACTORY_DEMO_ENGINE") == "simulated":
        return "simulated"
    installed = all(importlib.util.find_spec(name) for name in ("torch", "diffusers", "transformers"))
    return "zimage" if installed and SHIPPED.exists() else "simulated"


def lay_demo_checkpoint(folder: Path) -> str:
    """Put the files into `folder`/demo unless the same lie there already; returns the engine that draws with them.

    A copy, so that a new version of the project changes nothing under a worker that runs. Raises Failed when it cannot be written.
    """
    from factory.workers.engines.simulated import write_checkpoint

    engine, target, fresh = drawing_engine(), folder / "demo", folder / ".demo.new"
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        if engine == "zimage":
            shutil.copytree(SHIPPED, fresh)
        else:
            write_checkpoint(fresh)
        if _same_files(target, fresh):
            shutil.rmtree(fresh)
        else:
            shutil.rmtree(target, ignore_errors=True)
            fresh.rename(target)
    except OSError as error:
        raise Failed(f"the demo checkpoint could not be copied to {target}: {error}") from error
    return engine


def _same_files(target: Path, fresh: Path) -> bool:
    from factory.errors import BadCheckpoint
    from factory.workers.checkpoints import manifest_sha256

    try:
        return manifest_sha256(target) == manifest_sha256(fresh)
    except BadCheckpoint:  # missing, half there after a kill, or with files that no checkpoint has
        return False
