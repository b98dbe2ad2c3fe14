"""Checks of storage, rules and checkpoints."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path

from factory.cli.checkup.finding import Sick, Unasked
from factory.db import Database
from factory.settings import Settings


def storage(settings: Settings) -> str:
    """Write, read and delete one small object."""
    from factory.bootstrap import build_storage

    store = build_storage(settings)
    content = uuid.uuid4().bytes
    key = f"doctor/check/{content.hex()}.png"
    store.put(key, content, media_type="image/png", sha256=hashlib.sha256(content).hexdigest(), filename="check.png")
    try:
        if store.get(key) != content:
            raise Sick("what was read is not what was written", "look for a proxy or gateway that changes objects")
    finally:
        store.delete(key)
    return "written, read and deleted"


def rules(settings: Settings) -> str:
    from factory.bootstrap import build_rules

    return f"version {build_rules(settings).version}"


def labels(settings: Settings) -> str:
    from factory.bootstrap import build_labels

    book = build_labels(settings)
    return f"{settings.labels_file.name}, {len(book.tenants)} tenants of their own" if settings.labels_file else "built in"


def checkpoints(db: Database, settings: Settings) -> str:
    """Registered checkpoints whose folder is on this node hash to what was registered."""
    from factory.jobs.checkpoints import list_checkpoints
    from factory.workers.checkpoints import manifest_sha256

    registered = list_checkpoints(db)
    if not registered:
        raise Sick("none is registered: no order can be taken", "run `factory checkpoints add FOLDER`")
    here = {name: settings.checkpoints_dir / name for name in registered if (settings.checkpoints_dir / name).is_dir()}
    if not here:
        raise Unasked(f"{len(registered)} registered, none in {settings.checkpoints_dir.resolve()}: this node draws nothing")
    wrong = [name for name, folder in here.items() if manifest_sha256(Path(folder)) != registered[name].sha256]
    if wrong:
        raise Sick(
            f"other files than registered: {', '.join(wrong)}",
            "copy the right files here, or register these with `factory checkpoints add`",
        )
    return f"{len(here)} of {len(registered)} here, hashes match"
