"""Draw the sample of each market template with the demo checkpoint, labelled: PYTHONPATH=. python scripts/draw_market_samples.py [NAME …]"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from PIL import Image

from factory.domain.draft import Draft, Picture
from factory.domain.fill_template import example_vars, fill_template
from factory.domain.generation_spec import GenerationSpec, LoraUse
from factory.domain.seed_policy import derived_seed, seed_by_policy
from factory.domain.template_body import TemplateBody
from factory.market import SAMPLES, load_market
from factory.postprocess.label import VisibleLabel
from factory.workers.checkpoints import manifest_sha256
from factory.workers.engines import open_engine
from factory.workers.loras import measure_lora

ROOT = Path(__file__).resolve().parents[1]
CHECKPOINT, LORAS = ROOT / "demo" / "checkpoint", ROOT / "demo" / "loras"
SIDE = 256
LARGEST = 12_000


def main(names: list[str]) -> None:
    """Without names: all of them, and the samples of templates that are gone are deleted."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    market = load_market()
    SAMPLES.mkdir(exist_ok=True)
    if unknown := set(names) - {body.name for body in market}:
        sys.exit(f"no market template is called {', '.join(sorted(unknown))}")
    pipeline = open_engine("zimage", loras=LORAS).load(CHECKPOINT)
    # Sorted by LoRA: each is put on once.
    for body in sorted((each for each in market if not names or each.name in names), key=lambda each: [use.name for use in each.loras]):
        spec = spec_of(body)
        content = labelled_jpeg(spec, pipeline.generate(spec, on_step=lambda _done, _total: None))
        (SAMPLES / f"{body.name}.jpg").write_bytes(content)
        print(f"{body.name:18} {len(content):6} bytes  seed {spec.seed:<17} {spec.prompt}", flush=True)
    if not names:
        for stray in {file.stem for file in SAMPLES.glob("*.jpg")} - {body.name for body in market}:
            (SAMPLES / f"{stray}.jpg").unlink()


def spec_of(body: TemplateBody) -> GenerationSpec:
    """The template's example at SIDE × SIDE; what the policy leaves to chance is derived from the name, so that a sample can be drawn again."""
    seed = seed_by_policy(body.seed, series="sample", template=body.name, sku=body.name, slot=None, candidate=None)
    return GenerationSpec(
        prompt=fill_template(body, example_vars(body)),
        checkpoint="demo",
        checkpoint_sha256=manifest_sha256(CHECKPOINT),
        engine="zimage",
        width=SIDE,
        height=SIDE,
        seed=derived_seed("sample", body.name) if seed is None else seed,
        loras=tuple(LoraUse(name=use.name, sha256=measure_lora(LORAS / use.name)[0], scale=use.scale) for use in body.loras),
        label_profile="cn",
    )


def labelled_jpeg(spec: GenerationSpec, picture: Picture) -> bytes:
    """With the visible label, as good as fits into LARGEST bytes."""
    draft = Draft(spec, picture.pixels, produce_id="market-sample")
    VisibleLabel().apply(draft)
    for quality in range(92, 30, -4):
        buffer = io.BytesIO()
        Image.fromarray(draft.pixels).save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
        if buffer.tell() <= LARGEST:
            return buffer.getvalue()
    sys.exit(f"{spec.prompt!r}: no JPEG of at most {LARGEST} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
