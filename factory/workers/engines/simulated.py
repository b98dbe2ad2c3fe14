"""SimulatedEngine: takes as long as a GPU would and draws a card with the prompt on it. For load tests and machines without torch."""

from __future__ import annotations

import json
import time
from pathlib import Path

import PIL

from factory.domain.draft import Picture
from factory.domain.generation_spec import GenerationSpec
from factory.errors import BadCheckpoint
from factory.workers.engines import OnStep
from factory.workers.engines.card.draw_card import draw_card

CARD_FILE = "card.json"


def write_checkpoint(path: Path, *, weight: int = 64 * 1024 * 1024, load_seconds: float = 0.0) -> Path:
    """Write a simulated checkpoint: a folder with one file that says how many bytes it pretends to take and how long to load."""
    path.mkdir(parents=True, exist_ok=True)
    (path / CARD_FILE).write_text(json.dumps({"bytes": weight, "load_seconds": load_seconds}), encoding="utf-8")
    return path


class SimulatedEngine:
    """`seconds` is the wall time of one picture, whatever its size; the drawing itself is part of it."""

    def __init__(self, seconds: float = 0.2) -> None:
        self.seconds = seconds

    def footprint(self, path: Path) -> int:
        """The bytes that the checkpoint pretends to take."""
        return int(_read(path)["bytes"])

    def load(self, path: Path) -> SimulatedPipeline:
        """Raises BadCheckpoint without a card.json."""
        card = _read(path)
        time.sleep(card["load_seconds"])
        return SimulatedPipeline(int(card["bytes"]), self.seconds)


class SimulatedPipeline:
    """Sleeps in as many equal steps as evaluations are ordered, against absolute deadlines, so that errors do not add up."""

    def __init__(self, weight: int, seconds: float) -> None:
        self.bytes = weight
        self.seconds = seconds
        self.lora_key = ""

    def generate(self, spec: GenerationSpec, *, on_step: OnStep) -> Picture:
        """Raises only what `on_step` raises. LoRAs change nothing on a card; the pipeline says that it has them."""
        self.lora_key = spec.lora_key
        started = time.perf_counter()
        pixels = draw_card(spec.prompt, spec.seed, spec.width, spec.height)
        drawn = time.perf_counter()
        total = spec.num_inference_steps
        for done in range(1, total + 1):
            time.sleep(max(0.0, started + self.seconds * done / total - time.perf_counter()))
            on_step(done, total)
        seconds = {"decode": drawn - started, "denoise": time.perf_counter() - drawn}
        return Picture(pixels, total, seconds, {"engine": "simulated", "device": "none", "pillow": PIL.__version__})


def _read(path: Path) -> dict[str, float]:
    try:
        card: dict[str, float] = json.loads((path / CARD_FILE).read_bytes())
        return {"bytes": card["bytes"], "load_seconds": card["load_seconds"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadCheckpoint(f"checkpoint {path.name!r} has no readable {CARD_FILE}: {error}; write one with write_checkpoint") from error
