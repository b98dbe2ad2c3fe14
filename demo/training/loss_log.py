"""The log of a stage: a JSON object a line, on stdout and in a file."""

from __future__ import annotations

import json
from pathlib import Path


def log_line(file: Path, step: int, seconds: float, **values: float) -> None:
    """Append `step`, the `seconds` of training so far, and what was measured. The file's stem is the stage's name."""
    line = json.dumps({"step": step, "seconds": round(seconds, 1), **values})
    print(file.stem, line, flush=True)
    with file.open("a", encoding="utf-8") as out:
        out.write(line + "\n")
