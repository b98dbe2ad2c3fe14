"""Train the demo checkpoint from nothing, stage by stage: `make train`.

A stage whose result exists is skipped, one that was interrupted goes on; remove its files in the work folder to do it again.
"""

from __future__ import annotations

import argparse
import json
import random
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
from demo.training.judge import train_judge
from demo.training.quality import examine
from demo.training.style_lora import train_style
from demo.training.tokenizer import build_tokenizer

DEMO = Path(__file__).parent
CHECKPOINT, LORAS = DEMO / "checkpoint", DEMO / "loras"
STYLES = ("sketch", "night")
CAPTIONS_FOR_TOKENIZER = 40_000
# No two corpora share a pose.
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
    if not (folder / "tokenizer.json").exists():
        chance, scenes = random.Random(0), every_scene(CAPTIONS_FOR_TOKENIZER // 1000)
        build_tokenizer(caption(scene, chance) for scene in scenes).save_pretrained(folder)
    return Qwen2Tokenizer.from_pretrained(folder, local_files_only=True)


def train(work: Path) -> dict[str, object]:
    """All stages; returns how good the checkpoint is (demo/training/quality.py)."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    vae = train_autoencoder({side: corpus.pictures(work / "pictures") for side, corpus in PICTURES.items()}, work, device)
    train_denoiser(*encoded(PICTURES, vae, work), tokenizer(work / "tokenizer"), work, Plan())
    assemble(work, CHECKPOINT)
    for style in STYLES:
        train_style(CHECKPOINT, *encoded(styled(style), vae, work), LORAS / style, work / f"{style}.jsonl")
    if not SHIPPED.exists():
        print("judge, right on drawings it has not seen:", train_judge(vae))
    result = examine(CHECKPOINT, work / "quality")
    print("card:", write_card(work, CHECKPOINT))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(".factory/training"), help="drawings, states and logs (4 GB)")
    result = train(parser.parse_args().work)
    print(json.dumps({"table": result["table"], "shapes": result["shapes"], "seconds": result["seconds"]}, indent=1))


if __name__ == "__main__":
    main()
