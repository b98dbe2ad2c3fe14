"""Gpu: draws one picture at a time. Whatever asks from whatever thread, a pipeline never runs twice at once."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from threading import Lock
from time import perf_counter

from factory import metrics
from factory.domain.draft import Picture
from factory.domain.generation_spec import GenerationSpec
from factory.errors import FactoryError
from factory.workers.check_picture import check_picture
from factory.workers.engines import OnStep
from factory.workers.forget_frames import forget_frames
from factory.workers.pipeline_cache import PipelineCache

WARM_UP_PROMPT = "a red mug on a wooden table, 木桌上的红色马克杯"


def ignore_step(done: int, total: int) -> None:
    """For callers that neither show progress nor stop."""


class Gpu:
    """One card of this process. `name` identifies the worker in claims and logs; `ready` turns true with the first good picture."""

    def __init__(self, cache: PipelineCache, name: str = "gpu") -> None:
        self.cache = cache
        self.name = name
        self.ready = False
        self.in_use = ("", "")  # checkpoint and lora_key of the last picture tried
        self._one_at_a_time = Lock()

    def generate(self, spec: GenerationSpec, on_step: OnStep = ignore_step) -> Picture:
        """Draw `spec`, loading its checkpoint if need be (then `seconds["load"]` says how long that took).

        `on_step(done, total)` may raise to stop. A picture that is flat, of the wrong size or drawn with another count
        of evaluations raises BadPicture and is not tried with another seed: the seed was ordered, is frozen in the
        spec and is what makes the picture reproducible, so a fresh one would be a picture that nobody ordered.
        """
        with self._one_at_a_time:
            try:
                return self._draw(spec, on_step)
            except BaseException as error:
                forget_frames(error)
                raise

    def prefetch(self, spec: GenerationSpec) -> None:
        """Load what `spec` needs while another picture is drawn, if there is room beside it. Faults are left to the drawing."""
        with suppress(FactoryError), self.cache.pin(spec):
            pass

    def warm_up(self, checkpoint: str, checkpoint_sha256: str, *, engine: str, side: int) -> Picture:
        """Draw one real picture, `side` × `side` pixels, and become ready. Raises what `generate` raises."""
        spec = GenerationSpec(
            prompt=WARM_UP_PROMPT,
            checkpoint=checkpoint,
            checkpoint_sha256=checkpoint_sha256,
            engine=engine,
            width=side,
            height=side,
            seed=0,
        )
        picture = self.generate(spec)
        self.ready = True
        return picture

    def resident(self) -> list[str]:
        """Names of the checkpoints in memory."""
        return self.cache.resident()

    def lacks(self, checkpoint: str) -> bool:
        """Neither in memory nor on this worker's disk: another worker may have it."""
        return self.cache.lacks(checkpoint)

    def _draw(self, spec: GenerationSpec, on_step: OnStep) -> Picture:
        asked = perf_counter()
        with self.cache.pin(spec) as pipeline:
            started = perf_counter()
            try:
                picture = pipeline.generate(spec, on_step=on_step)
            finally:
                self.in_use = (spec.checkpoint, pipeline.lora_key)
            metrics.generate_seconds.labels(spec.checkpoint).observe(perf_counter() - started)
        check_picture(picture, spec)
        return replace(picture, seconds={"load": started - asked, **picture.seconds})
