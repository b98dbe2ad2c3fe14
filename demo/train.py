"""Train the demo checkpoint from nothing, stage by stage: `make train`.

A stage whose result lies in the work folder is skipped, one that was interrupted goes on. To do one again remove its result
and those of all later stages. When all is done, and not before, the results replace those in demo/.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from transformers import Qwen2Tokenizer

from demo.judge import SHIPPED
from demo.shop.captions import caption
from demo.shop.goods import Scene, every_scene
from demo.training.assemble import assemble
from demo.training.autoencoder import encode_pictures, train_autoencoder
from demo.training.batches import Plan
from demo.training.card import write_card
from demo.training.corpus import Corpus
from demo.training.denoiser import train_denoiser
from demo.training.fingerprint import fingerprint
from demo.training.judge import train_judge
from demo.training.quality import examine
from demo.training.style_lora import train_style
from demo.training.tokenizer import build_tokenizer
from demo.training.whole_folder import whole_folder

DEMO = Path(__file__).parent
STYLES = ("sketch", "night")
CAPTIONS_FOR_TOKENIZER = 40_000
# No two of these, nor the styles' own, share a pose; the two styles show the same ones.
PICTURES = {128: Corpus(128, 16), 256: Corpus(256, 8, first_seed=100_000)}


def styled(style: str) -> dict[int, Corpus]:
    """The pictures that a style is learned from: 2000 small, 1000 large."""
    return {128: Corpus(128, 2, first_seed=200_000, style=style), 256: Corpus(256, 1, first_seed=300_000, style=style)}


def encoded(corpora: Mapping[int, Corpus], vae: AutoencoderKL, work: Path) -> tuple[dict[int, torch.Tensor], dict[int, Sequence[Scene]]]:
    """Latents, scaled, and scenes by side in pixels."""
    latents = {}
    for side, corpus in corpora.items():
        file = work / "latents" / f"{corpus.name}.npy"
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            fresh = file.with_suffix(".new.npy")
            np.save(fresh, encode_pictures(vae, corpus.pictures(work / "pictures")))
            fresh.replace(file)
        latents[side] = torch.from_numpy(np.load(file))
    return latents, {side: corpus.scenes for side, corpus in corpora.items()}


def tokenizer(folder: Path) -> Qwen2Tokenizer:
    """Learned from captions of every scene in turn; written to `folder`."""
    if not folder.exists():
        chance, scenes = random.Random(0), every_scene(CAPTIONS_FOR_TOKENIZER // 1000)
        with whole_folder(folder) as fresh:
            build_tokenizer(caption(scene, chance) for scene in scenes).save_pretrained(fresh)
    return Qwen2Tokenizer.from_pretrained(folder, local_files_only=True)


def train(work: Path) -> dict[str, object]:
    """All stages; returns how good the checkpoint is (demo/training/quality.py)."""
    _refuse_other_drawings(work)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(work.resolve() / "compiled")  # a resumed run need not compile again
    device = "cuda" if torch.cuda.is_available() else "cpu"
    vae = train_autoencoder({side: corpus.pictures(work / "pictures") for side, corpus in PICTURES.items()}, work, device)
    train_denoiser(*encoded(PICTURES, vae, work), tokenizer(work / "tokenizer"), work, Plan())
    assemble(work, work / "checkpoint")
    for style in STYLES:
        train_style(work / "checkpoint", *encoded(styled(style), vae, work), work / "loras" / style, work / f"{style}.jsonl")
    train_judge(vae, work / "judge")
    result = examine(work / "checkpoint", work / "judge" / SHIPPED.name, work / "quality")
    _publish(work)
    print("card:", write_card(work, DEMO / "checkpoint"))
    return result


def _refuse_other_drawings(work: Path) -> None:
    """Latents, captions and weights in `work` were made from one shop; SystemExit when it draws or speaks otherwise now."""
    now, mark = fingerprint(DEMO / "shop", "*.py", "*.yaml"), work / "shop.sha256"
    if mark.exists() and mark.read_text() != now:
        raise SystemExit(f"{work} was begun with another demo/shop: remove it, or name another folder with --work")
    work.mkdir(parents=True, exist_ok=True)
    mark.write_text(now)


def _publish(work: Path) -> None:
    """Replace what demo/ ships."""
    for part in ("checkpoint", "loras"):
        with whole_folder(DEMO / part) as fresh:
            shutil.copytree(work / part, fresh, dirs_exist_ok=True)
    shutil.copy(work / "judge" / SHIPPED.name, SHIPPED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(".factory/training"), help="drawings, states and logs (4 GB)")
    result = train(parser.parse_args().work)
    print(json.dumps({"table": result["table"], "shapes": result["shapes"], "seconds": result["seconds"]}, indent=1))


if __name__ == "__main__":
    main()
