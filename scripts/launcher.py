"""`.venv/bin/factory`: what people type. Standard library only."""

from __future__ import annotations

import os
import shlex
from pathlib import Path


def write(venv: Path, root: Path) -> Path:
    """`bin/factory` in `venv`: the command line of the checkout `root`, from any folder."""
    target = venv / "bin" / "factory"
    python, path = shlex.quote(str(venv / "bin" / "python")), shlex.quote(str(root))
    # -P: a folder called factory where somebody stands is not ours.
    content = f'#!/bin/sh\nPYTHONPATH={path}"${{PYTHONPATH:+:$PYTHONPATH}}" exec {python} -P -m factory "$@"\n'
    if not target.exists() or target.read_text() != content:
        fresh = target.with_name(f"factory.{os.getpid()}")
        fresh.write_text(content)
        fresh.chmod(0o755)
        fresh.replace(target)
    return target
