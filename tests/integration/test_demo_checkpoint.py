"""What only a checkpoint that learned something can show: pictures answer their prompts, styles come and go, nothing leaks across a batch."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from demo.judge import Judge
from demo.shop.captions import plain_captions
from demo.shop.goods import BACKGROUNDS, COLOURS, OBJECTS, Scene
from factory.workers.checkpoints import refuse_code, tensor_shapes

os.environ.setdefault("OMP_NUM_THREADS", "1")
DEMO = Path(__file__).resolve().parents[2] / "demo"
CHECKPOINT = DEMO / "checkpoint"
LORAS = ("sketch", "night")
MEGABYTE = 1_000_000
# Every item and every colour once, five backgrounds; Chinese and English in turn.
SCENES = [Scene(n, (3 * n + 1) % len(COLOURS), 2 * n % len(BACKGROUNDS)) for n in range(len(OBJECTS))]
PROMPTS = [plain_captions(scene)[n % 2] for n, scene in enumerate(SCENES)]


@pytest.fixture(scope="module")
def pipeline():
    import torch
    from diffusers import DiffusionPipeline

    torch.set_num_threads(1)
    loaded = DiffusionPipeline.from_pretrained(CHECKPOINT, local_files_only=True, dtype=torch.float32)
    loaded.set_progress_bar_config(disable=True)
    return loaded


@pytest.fixture(scope="module")
def judge():
    return Judge.from_file()


def lora_file(style):
    return DEMO / "loras" / style / "pytorch_lora_weights.safetensors"


def draw(pipeline, prompts, seeds, side=128):
    """uint8 (N, side, side, 3): one call of the library for all of them."""
    import torch

    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    pictures = pipeline(
        prompt=list(prompts), height=side, width=side, num_inference_steps=8, guidance_scale=0.0, generator=generators
    ).images
    return np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])


def asked(scenes):
    return [(scene.item, scene.colour, scene.background) for scene in scenes]


def test_it_is_small_and_of_the_libraries_own_classes():
    refuse_code(CHECKPOINT)
    index = json.loads((CHECKPOINT / "model_index.json").read_text(encoding="utf-8"))
    assert {name: value[1] for name, value in index.items() if isinstance(value, list)} == {
        "scheduler": "FlowMatchEulerDiscreteScheduler",
        "text_encoder": "Qwen3Model",
        "tokenizer": "Qwen2Tokenizer",
        "transformer": "ZImageTransformer2DModel",
        "vae": "AutoencoderKL",
    }
    assert not any("/" in file.read_text(encoding="utf-8") for file in CHECKPOINT.glob("*/config.json")), "a folder of who made it"
    assert sum(file.stat().st_size for file in CHECKPOINT.rglob("*") if file.is_file()) < 20 * MEGABYTE


def test_its_card_tells_what_it_is():
    card = (DEMO / "README.md").read_text(encoding="utf-8")
    assert "toy" in card.lower()
    assert "玩具" in card
    assert "license: apache-2.0" in card
    assert all(name in card for name in (*OBJECTS, *COLOURS, *BACKGROUNDS))


@pytest.mark.parametrize("side", [128, 256])
def test_in_a_batch_of_strangers_every_picture_answers_its_own_prompt(pipeline, judge, side):
    pictures = draw(pipeline, PROMPTS, range(10), side)
    assert [tuple(seen) for seen in judge.judge(pictures)] == asked(SCENES)


def test_a_picture_does_not_depend_on_its_neighbours(pipeline):
    together = draw(pipeline, PROMPTS, range(10))
    alone = np.concatenate([draw(pipeline, [prompt], [seed]) for seed, prompt in enumerate(PROMPTS)])
    assert np.abs(together.astype(int) - alone).max() <= 2


def test_the_seed_decides_the_pose_and_the_prompt_the_goods(pipeline, judge):
    pictures = draw(pipeline, [PROMPTS[0]] * 4, range(4))
    assert {tuple(seen) for seen in judge.judge(pictures)} == set(asked(SCENES[:1]))
    assert len({picture.tobytes() for picture in pictures}) == 4


@pytest.mark.parametrize("style", LORAS)
def test_a_style_changes_the_picture_and_leaves_without_a_trace(pipeline, judge, style):
    before = draw(pipeline, PROMPTS, range(10))
    pipeline.load_lora_weights(lora_file(style).parent, adapter_name=style, use_safetensors=True)
    try:
        assert pipeline.get_list_adapters() == {"transformer": [style]}
        styled = draw(pipeline, PROMPTS, range(10))
    finally:
        pipeline.unload_lora_weights()
    assert np.abs(styled.astype(int) - before).mean() > 15
    brightness = {"sketch": styled.mean() > 200, "night": styled.mean() < 0.75 * before.mean()}
    assert brightness[style], "the sketch is on pale paper, the night is dark"
    assert (judge.judge(styled)[:, 0] == judge.judge(before)[:, 0]).mean() >= 0.8, "the goods stay what they are"
    assert np.array_equal(draw(pipeline, PROMPTS, range(10)), before)


@pytest.mark.parametrize("style", LORAS)
def test_a_style_is_a_small_file_in_the_libraries_format(style):
    assert lora_file(style).stat().st_size <= MEGABYTE
    shapes = tensor_shapes(lora_file(style).parent)
    assert len(shapes) == 2 * 70, "two matrices for each of seven in ten blocks"
    assert all(name.startswith("transformer.") and name.endswith((".lora_A.weight", ".lora_B.weight")) for name in shapes)
