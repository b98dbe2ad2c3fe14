"""The checkpoint's examination: draws a thousand orders through the ordinary pipeline, and has the judge look at them."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline

from demo.judge import SHIPPED, Answers, Judge
from demo.shop.goods import BACKGROUNDS, COLOURS, OBJECTS
from demo.shop.pixels import Pixels
from demo.training.contact_sheets import write_sheet
from demo.training.fingerprint import fingerprint
from demo.training.judge import answers_of, right_shares
from demo.training.orders import Order, Sheet, every_sheet
from demo.training.shape_scores import shape_scores

EVALUATIONS = 8
GUIDANCE = 0.0
SIDES = (128, 256)
BATCH = 20
NAMES = (OBJECTS, COLOURS, BACKGROUNDS)


def drawn_by(pipeline: DiffusionPipeline, orders: list[Order], side: int) -> Pixels:
    """uint8 (N, side, side, 3). Each picture has a generator of its own, so it does not depend on its neighbours' seeds."""
    pictures = []
    for start in range(0, len(orders), BATCH):
        part = orders[start : start + BATCH]
        shown = pipeline(
            prompt=[order.prompt for order in part],  # a fresh list: the pipeline writes the chat template into the one it gets
            height=side,
            width=side,
            num_inference_steps=EVALUATIONS,
            guidance_scale=GUIDANCE,
            generator=[torch.Generator().manual_seed(order.seed) for order in part],
        ).images
        pictures += [np.asarray(picture.convert("RGB")) for picture in shown]
    return np.stack(pictures)


def seconds_per_picture(pipeline: DiffusionPipeline, side: int) -> float:
    """Median of five single pictures on one thread of the processor, after one to warm up."""
    threads, orders = torch.get_num_threads(), Sheet("en", "plain", 0).orders()[::18]
    torch.set_num_threads(1)
    try:
        times = []
        for order in orders:
            start = time.perf_counter()
            drawn_by(pipeline, [order], side)
            times.append(time.perf_counter() - start)
        return statistics.median(times[1:])
    finally:
        torch.set_num_threads(threads)


def misses(orders: list[Order], said: Answers) -> list[dict[str, Any]]:
    """The orders whose picture was judged to show something else, with what was asked and what was seen."""
    found = []
    for order, seen in zip(orders, said, strict=True):
        asked = (order.scene.item, order.scene.colour, order.scene.background)
        if asked != tuple(seen):
            words = ([names[place] for names, place in zip(NAMES, places, strict=True)] for places in (asked, seen))
            found.append({"prompt": order.prompt, "seed": order.seed, **dict(zip(("asked", "seen"), words, strict=True))})
    return found


def examined(pipeline: DiffusionPipeline, judge: Judge, side: int, work: Path, rounds: int) -> tuple[dict[str, Any], Pixels, list[Order]]:
    """Tables and misses of one side; and the plain sheets' pictures with their orders. Contact sheets go into `work`."""
    rows: dict[tuple[str, str], list[tuple[Answers, Answers]]] = {}
    missed, pictures, plain = [], [], []
    for sheet in every_sheet(rounds):
        orders = sheet.orders()
        shown = drawn_by(pipeline, orders, side)
        said, true = judge.judge(shown), answers_of([order.scene for order in orders])
        rows.setdefault((sheet.language, sheet.wording), []).append((said, true))
        missed += [{"side": side, "sheet": sheet.name, **miss} for miss in misses(orders, said)]
        write_sheet(shown, work / f"sheet-{side}-{sheet.name}.png")
        wrong = (said != true).any(axis=1)
        if wrong.any():
            write_sheet(shown[wrong], work / f"misses-{side}-{sheet.name}.png")
        if sheet.wording == "plain":
            pictures.append(shown)
            plain += orders
        print(f"{side}² {sheet.name}: {right_shares(said, true)}", flush=True)
    table = [
        {"side": side, "language": language, "wording": kind, "pictures": sum(len(said) for said, _ in parts)}
        | right_shares(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        for (language, kind), parts in rows.items()
    ]
    return {"table": table, "misses": missed}, np.concatenate(pictures), plain


def examine(checkpoint: Path, judge: Path, work: Path, *, rounds: int = 3, sides: tuple[int, ...] = SIDES) -> dict[str, Any]:
    """Everything the card reports, also written to `work`/quality.json. Draws (2 `rounds` + 2) · 100 pictures of each side.

    A side that these files were examined at already is read from `work`, so that a stop costs one side at most.
    """
    work.mkdir(parents=True, exist_ok=True)
    files = fingerprint(checkpoint, "*.safetensors", "*.json") + fingerprint(judge.parent, judge.name)
    found = []
    for side in sides:
        known = work / f"side-{side}.json"
        if not known.exists() or json.loads(known.read_text(encoding="utf-8"))["files"] != files:
            answers = {"files": files, **_examined_at(side, checkpoint, judge, work, rounds)}
            known.write_text(json.dumps(answers, ensure_ascii=False, indent=1), encoding="utf-8")
        found.append(json.loads(known.read_text(encoding="utf-8")))
    result: dict[str, Any] = {"evaluations": EVALUATIONS, "guidance": GUIDANCE}
    result |= {part: [row for each in found for row in each[part]] for part in ("table", "misses")}
    result |= {part: {str(side): each[part] for side, each in zip(sides, found, strict=True)} for part in ("seconds", "shapes")}
    (work / "quality.json").write_text(json.dumps(result, ensure_ascii=False, indent=1), encoding="utf-8")
    return result


def _examined_at(side: int, checkpoint: Path, judge: Path, work: Path, rounds: int) -> dict[str, Any]:
    pipeline = DiffusionPipeline.from_pretrained(checkpoint, local_files_only=True, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    seconds = seconds_per_picture(pipeline, side)
    pipeline.to("cuda" if torch.cuda.is_available() else "cpu")
    found, pictures, orders = examined(pipeline, Judge.from_file(judge), side, work, rounds)
    shapes = asdict(shape_scores(pipeline.vae, pictures, [order.scene for order in orders]))
    return {**found, "seconds": seconds, "shapes": shapes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=Path("demo/checkpoint"))
    parser.add_argument("--judge", type=Path, default=SHIPPED)
    parser.add_argument("--work", type=Path, default=Path(".factory/training/quality"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES)
    told = parser.parse_args()
    print(json.dumps(examine(told.checkpoint, told.judge, told.work, rounds=told.rounds, sides=tuple(told.sides))["shapes"], indent=1))


if __name__ == "__main__":
    main()
