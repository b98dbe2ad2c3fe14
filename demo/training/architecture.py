"""The parts of the demo checkpoint, untrained: real Z-Image classes at a size two cores can train."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, ZImageTransformer2DModel
from torch import nn
from transformers import Qwen3Config, Qwen3Model

CAPTION_WIDTH = 128
LATENT_CHANNELS = 16
_WIDTH = 192
_GAIN = 0.7
_GATE_BIAS = 0.5  # tanh(.5) = .46: every block acts from the first step, yet none drowns the residual stream


def build_transformer(layers: int = 8) -> ZImageTransformer2DModel:
    """6.3 M parameters at 8 `layers`, float32, initialised from torch's global generator."""
    transformer = ZImageTransformer2DModel(
        all_patch_size=(2,),
        all_f_patch_size=(1,),
        in_channels=LATENT_CHANNELS,
        dim=_WIDTH,
        n_layers=layers,
        n_refiner_layers=1,
        n_heads=4,
        n_kv_heads=4,
        norm_eps=1e-5,
        qk_norm=True,
        cap_feat_dim=CAPTION_WIDTH,
        rope_theta=256.0,
        t_scale=1000.0,
        axes_dims=[16, 16, 16],
        axes_lens=[1024, 64, 64],
    )
    _draw_matrices(transformer)
    for block in (*transformer.noise_refiner, *transformer.layers):
        _start_modulation(block.adaLN_modulation[-1])
    final = transformer.all_final_layer["2-1"]
    for linear in (final.linear, final.adaLN_modulation[-1]):
        nn.init.zeros_(linear.weight)
    nn.init.normal_(transformer.cap_pad_token, std=0.5)
    nn.init.zeros_(transformer.x_pad_token)
    return transformer


def build_text_encoder(vocabulary: int) -> Qwen3Model:
    """0.55 M parameters, float32. Z-Image reads `hidden_states[-2]`, so two of the three layers act."""
    encoder = Qwen3Model(
        Qwen3Config(
            vocab_size=vocabulary,
            hidden_size=CAPTION_WIDTH,
            intermediate_size=256,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=32,
            max_position_embeddings=2048,
            rope_theta=10000.0,
            tie_word_embeddings=True,
        )
    )
    _draw_matrices(encoder)
    nn.init.normal_(encoder.embed_tokens.weight, std=0.5)
    return encoder


def build_autoencoder(scaling_factor: float = 1.0, shift_factor: float = 0.0) -> AutoencoderKL:
    """0.85 M parameters, float32; one latent cell for 8 x 8 pixels. The two factors are measured after training."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 48, 64),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=1,  # 8 groups of 2 channels washed the colours out
        scaling_factor=scaling_factor,
        shift_factor=shift_factor,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
        force_upcast=False,
    )


def build_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """Sigma = 3u / (1 + 2u), the noise levels the denoiser is trained on."""
    return FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=3.0, use_dynamic_shifting=False)


def _draw_matrices(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=_GAIN / part.in_features**0.5)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def _start_modulation(linear: nn.Linear) -> None:
    nn.init.zeros_(linear.weight)
    with torch.no_grad():  # scale, gate, scale, gate
        linear.bias.view(4, -1)[1::2] = _GATE_BIAS
