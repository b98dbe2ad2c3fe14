"""The checkpoint's card: what it is, how it was made and how well it draws, written from the logs and the examination."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import torch

from demo.shop.goods import BACKGROUNDS, COLOURS, OBJECTS

TEXT = Path(__file__).with_name("card.md")


def machine() -> str:
    """What this computer calculates with, as its maker calls it."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    known = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", known.read_text()) if known.exists() else []
    return f"{os.cpu_count()} cores ({names[0] if names else platform.machine()})"


def percent(share: float) -> str:
    """99.5 for 0.995, 100 for 1: one decimal where there is one."""
    return f"{100 * share:.1f}".removesuffix(".0")


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def stages(work: Path) -> list[dict[str, Any]]:
    """The last line of each log `work`/<stage>.jsonl, with the stage's name, in the order in which the stages ended."""
    logs = sorted(work.glob("*.jsonl"), key=lambda log: log.stat().st_mtime)
    return [{"stage": log.stem, **json.loads(lines[-1])} for log in logs if (lines := log.read_text(encoding="utf-8").splitlines())]


def recipe(found: list[dict[str, Any]]) -> str:
    """Steps, minutes and the last measurements of each stage."""
    rows = []
    for stage in found:
        last = ", ".join(
            f"{name} {value:g}" for name, value in stage.items() if name not in {"stage", "step", "seconds"} and _is_number(value)
        )
        rows.append((str(stage["stage"]), f"{stage.get('step', 0):,}", f"{stage.get('seconds', 0) / 60:.0f}", last))
    return table(("stage", "steps", "minutes", "at the end"), rows)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def accuracy(quality: dict[str, Any]) -> str:
    """What the judge found, in per cent right."""
    asked = ("object", "colour", "background", "all")
    rows = [
        (f"{row['side']}²", row["language"], row["wording"], str(row["pictures"]), *(percent(row[question]) for question in asked))
        for row in quality["table"]
    ]
    return table(("size", "language", "wording", "pictures", "object", "colour", "background", "all three"), rows)


def shapes(quality: dict[str, Any]) -> str:
    """The two scores of shape, with what they could be at best and at worst."""
    rows = []
    for side, found in quality["shapes"].items():
        told = found["told_apart"]
        share = f"{percent(told['right'])} ({percent(told['low'])} to {percent(told['high'])}, {told['of']} pictures)"
        rows.append((f"{side}²", share, *(f"{found[kind]:.2f}" for kind in ("generated", "reconstructed", "drawn", "other_item"))))
    head = ("size", "told from drawings, %", "outlines", "of reconstructed drawings", "of other drawings", "of a wrong item")
    return table(head, rows)


def missed(quality: dict[str, Any], most: int = 12) -> str:
    """The misses, at most `most` of them."""
    rows = [f"- {miss['side']}²: {miss['prompt']!r}: seen as {' '.join(miss['seen'])}" for miss in quality["misses"]]
    more = [f"- and {len(rows) - most} more"] if len(rows) > most else []
    return "\n".join([*rows[:most], *more]) or "None."


def card(quality: dict[str, Any], found: list[dict[str, Any]], folder: Path) -> str:
    """The card's text in Markdown; `folder` is the checkpoint, for its size."""
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    right = sum(row["all"] * row["pictures"] for row in quality["table"])
    return Template(TEXT.read_text(encoding="utf-8")).substitute(
        megabytes=f"{size / 1e6:.1f}",
        objects=", ".join(OBJECTS),
        colours=", ".join(COLOURS),
        backgrounds=", ".join(BACKGROUNDS),
        machine=machine(),
        recipe=recipe(found),
        evaluations=quality["evaluations"],
        guidance=quality["guidance"],
        pictures=f"{sum(row['pictures'] for row in quality['table']):,}",
        right=percent(right / sum(row["pictures"] for row in quality["table"])),
        accuracy=accuracy(quality),
        shapes=shapes(quality),
        missed=missed(quality),
        seconds=", ".join(f"{seconds:.2f} s at {side}²" for side, seconds in quality["seconds"].items()),
    )


def write_card(work: Path, checkpoint: Path) -> Path:
    """Write README.md beside `checkpoint` from `work`/quality/quality.json and the logs in `work`. Raises FileNotFoundError.

    Beside, not inside: a new word in the card must not give the checkpoint another hash.
    """
    quality = json.loads((work / "quality" / "quality.json").read_text(encoding="utf-8"))
    to = checkpoint.with_name("README.md")
    to.write_text(card(quality, stages(work), checkpoint), encoding="utf-8")
    return to


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(".factory/training"))
    parser.add_argument("--checkpoint", type=Path, default=Path("demo/checkpoint"))
    told = parser.parse_args()
    print(write_card(told.work, told.checkpoint))


if __name__ == "__main__":
    main()
