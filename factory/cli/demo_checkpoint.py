"""The demo checkpoint: a small Z-Image with random weights where torch is installed, else a card for the simulated engine."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from factory.cli.exit_codes import Failed
from factory.cli.home import ROOT

SECONDS = 180.0
BUILDER = ROOT / "demo" / "tiny_checkpoint.py"
MARKS = {"zimage": "model_index.json", "simulated": "card.json"}


def drawing_engine() -> str:
    """`zimage` when its libraries are here. FACTORY_DEMO_ENGINE=simulated asks for the quick one."""
    if os.environ.get("FACTORY_DEMO_ENGINE") == "simulated":
        return "simulated"
    installed = all(importlib.util.find_spec(name) for name in ("torch", "diffusers", "transformers"))
    return "zimage" if installed and BUILDER.exists() else "simulated"


class CheckpointBuild:
    """Builds `folder/demo` beside whatever else starts up; a folder that is there already is kept."""

    def __init__(self, folder: Path, *, log: Path) -> None:
        from factory.embedded.guarded import Guarded

        self.engine, self.target = drawing_engine(), folder / "demo"
        self._fresh = folder / ".demo.new"
        self._log = log
        self._child: Guarded | None = None
        if (self.target / MARKS[self.engine]).exists():
            return
        for stale in (self.target, self._fresh):
            shutil.rmtree(stale, ignore_errors=True)
        if self.engine == "simulated":
            from factory.workers.engines.simulated import write_checkpoint

            write_checkpoint(self._fresh).rename(self.target)
        else:
            env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
            self._child = Guarded([sys.executable, str(BUILDER), str(self._fresh)], log=log, env=env, cwd=ROOT)

    def finish(self) -> str:
        """Wait for the folder; returns the engine that draws with it. Raises Failed with the builder's own words."""
        if self._child is not None:
            code = self._child.wait(SECONDS)
            if code:
                words = self._log.read_text(errors="replace").strip().splitlines()[-1:]
                raise Failed(f"the demo checkpoint was not built ({' '.join(words)}); FACTORY_DEMO_ENGINE=simulated draws without it")
            self._fresh.rename(self.target)
        return self.engine
