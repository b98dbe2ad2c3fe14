"""The demo's LoRAs: the styles that the project ships for its checkpoint, laid where workers look and made orderable."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from factory.cli.exit_codes import Failed
from factory.cli.home import ROOT

if TYPE_CHECKING:
    from factory.db import Database

SHIPPED = ROOT / "demo" / "loras"


def lay_demo_loras(folder: Path) -> list[str]:
    """Copy each into `folder`/NAME unless the same bytes lie there; returns the names. Raises Failed when one cannot be written."""
    from factory.workers.loras import WEIGHTS

    sources = sorted(SHIPPED.glob(f"*/{WEIGHTS}"))
    for source in sources:
        target = folder / source.parent.name / WEIGHTS
        fresh = target.with_name(f".{WEIGHTS}.new")
        try:
            if not (target.is_file() and target.read_bytes() == source.read_bytes()):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, fresh)
                fresh.replace(target)
        except OSError as error:
            raise Failed(f"the demo LoRA could not be copied to {target}: {error}") from error
    return [source.parent.name for source in sources]


def register_demo_loras(db: Database, folder: Path, *, operator: str) -> None:
    """Those of them that are new or have other bytes than before."""
    from factory.domain.audit_event import Actor
    from factory.jobs.loras import list_loras, register_lora
    from factory.workers.loras import measure_lora

    known = list_loras(db)
    for name in lay_demo_loras(folder):
        sha256, size = measure_lora(folder / name)
        if name not in known or known[name].sha256 != sha256:
            register_lora(db, name=name, sha256=sha256, size=size, actor=Actor("operator", operator))
