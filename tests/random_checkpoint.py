"""A small, real Z-Image checkpoint with random weights: every part of the pipeline runs, the pictures are noise."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, ZImagePipeline, ZImageTransformer2DModel
from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3Model

from demo.training.architecture import build_scheduler
from demo.training.tokenizer import CHAT_TEMPLATE, CONTROL, LONGEST_CAPTION
from demo.training.whole_folder import whole_folder

CAPTION_WIDTH = 64


def build(path: Path, seed: int = 0) -> Path:
    """Write the checkpoint to `path` in diffusers layout, bfloat16 safetensors, readable by every user; a few MB.

    The same `seed` writes the same files, another seed another "fine-tune" of the same architecture.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = ZImagePipeline(
            scheduler=build_scheduler(),
            vae=_vae().bfloat16(),
            text_encoder=_text_encoder().bfloat16(),
            tokenizer=_tokenizer(),
            transformer=_transformer().bfloat16(),
        )
    with whole_folder(path) as fresh:
        pipeline.save_pretrained(fresh, safe_serialization=True)
    return path


def _transformer() -> ZImageTransformer2DModel:
    transformer = ZImageTransformer2DModel(
        all_patch_size=(2,),
        all_f_patch_size=(1,),
        in_channels=16,
        dim=96,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        norm_eps=1e-5,
        qk_norm=True,
        cap_feat_dim=CAPTION_WIDTH,
        rope_theta=256.0,
        t_scale=1000.0,
        axes_dims=[16, 16, 16],
        axes_lens=[1024, 512, 512],
    )
    for parameter in transformer.parameters():
        if parameter.dim() >= 2:
            torch.nn.init.normal_(parameter, std=0.7 / parameter.shape[-1] ** 0.5)
    return transformer


def _text_encoder() -> Qwen3Model:
    return Qwen3Model(
        Qwen3Config(
            vocab_size=288,
            hidden_size=CAPTION_WIDTH,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=32,
            max_position_embeddings=2048,
            rope_theta=10000.0,
            tie_word_embeddings=True,
        )
    )


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 16, 24, 32),
        layers_per_block=1,
        latent_channels=16,
        norm_num_groups=4,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
        force_upcast=False,
    )


def _tokenizer() -> Qwen2Tokenizer:
    """Byte level: 256 characters stand for the 256 bytes (the table of GPT-2), no merges, then the control tokens."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [chr(256 + place) for place in range(len(hidden))]
    vocabulary = {letter: number for number, letter in enumerate([*letters, *CONTROL])}
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=[], additional_special_tokens=CONTROL[1:])
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.model_max_length = LONGEST_CAPTION
    return tokenizer
