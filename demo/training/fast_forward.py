"""ZImageTransformer2DModel's forward for training on CPU: equal shapes in a batch, the module's own parameters.

The module's forward takes lists of pictures of any size, rotates interleaved pairs as complex numbers and calls
scaled_dot_product_attention; its backward is three times slower here. Same numbers: tests/unit/demo/test_fast_forward.py.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.compiler.config
from diffusers import ZImageTransformer2DModel
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear, silu
from transformers import Qwen3Model

GRAPHS = 64  # two or three for each shape of a batch; beyond torch's own limit of 8 it would fall back to three times slower code
_EPSILON = 1e-5
_PATCH = 2


def patches(latents: Tensor) -> Tensor:
    """Latents (batch, channels, side, side) as tokens (batch, side / 2 * side / 2, 4 * channels), in the module's order."""
    batch, channels, height, width = latents.shape
    cells = latents.reshape(batch, channels, height // _PATCH, _PATCH, width // _PATCH, _PATCH)
    return cells.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, _PATCH * _PATCH * channels)


def caption_features(encoder: Qwen3Model, tokens: Tensor) -> Tensor:
    """`hidden_states[-2]` (batch, length, width) of right-padded `tokens` (batch, length).

    The encoder is causal, so padding on the right changes no feature of a real token and needs no mask of its own. Attention is
    transformers' eager one: at so few tokens scaled_dot_product_attention takes ten times as long.
    """
    encoder.set_attn_implementation("eager")
    causal = torch.full((tokens.shape[1],) * 2, float("-inf"), device=tokens.device).triu(1)[None, None]
    hidden = encoder.embed_tokens(tokens)
    places = torch.arange(tokens.shape[1], device=tokens.device)[None]
    rotation = encoder.rotary_emb(hidden, places)
    for layer in encoder.layers[:-1]:
        hidden = layer(hidden, attention_mask=causal, position_ids=places, position_embeddings=rotation)
    return hidden


class FastForward:
    """Calls `transformer` on whole batches.

    `precision` is the dtype of the matrix products (float32 or bfloat16); the residual stream stays float32.
    `compiled` compiles the block once for each shape, about half a minute each, seconds when inductor's cache is warm.
    """

    def __init__(self, transformer: ZImageTransformer2DModel, precision: torch.dtype, *, compiled: bool) -> None:
        self._transformer = transformer
        self._precision = precision
        torch.compiler.config.recompile_limit = GRAPHS
        self._block = torch.compile(_block, dynamic=False) if compiled else _block

    def __call__(self, tokens: Tensor, time: Tensor, captions: Tensor, lengths: Tensor) -> Tensor:
        """Predict x0 - noise as patches (batch, n, 64).

        `tokens`: patches of the noisy latents (batch, n, 64), n a square and a multiple of 32; `time` = 1 - sigma (batch,);
        `captions`: features (batch, m, width), m a multiple of 32; `lengths`: real tokens of each caption (batch,).
        """
        model, precision = self._transformer, self._precision
        bucket, side = captions.shape[1], round(tokens.shape[1] ** 0.5)
        of_caption, of_image = _rotations(model, bucket, side)
        condition = _timestep(model, time, precision)
        image = _linear(tokens, model.all_x_embedder["2-1"], precision).float()
        for block in model.noise_refiner:
            image = self._run(block, image, of_image, condition)
        caption = _linear(_rms(captions, model.cap_embedder[0].weight), model.cap_embedder[1], precision).float()
        real = torch.arange(bucket, device=lengths.device) < lengths[:, None]
        caption = torch.where(real[..., None], caption, model.cap_pad_token)
        for block in model.context_refiner:
            caption = self._run(block, caption, of_caption, None)
        stream = torch.cat([image, caption], dim=1)
        for block in model.layers:
            stream = self._run(block, stream, torch.cat([of_image, of_caption], dim=1), condition)
        final = model.all_final_layer["2-1"]
        scale = 1 + _linear(silu(condition), final.adaLN_modulation[1], precision).float()[:, None]
        picture = stream[:, : tokens.shape[1]]
        return _linear(layer_norm(picture, picture.shape[-1:], eps=1e-6) * scale, final.linear, precision).float()

    def _run(self, block: nn.Module, stream: Tensor, rotation: Tensor, condition: Tensor | None) -> Tensor:
        attention, feed = block.attention, block.feed_forward
        modulation = None
        if condition is not None:
            modulation = _linear(condition, block.adaLN_modulation[0], self._precision).float()
        norms = (block.attention_norm1, block.attention_norm2, block.ffn_norm1, block.ffn_norm2, attention.norm_q, attention.norm_k)
        matrices = (attention.to_q, attention.to_k, attention.to_v, attention.to_out[0], feed.w1, feed.w2, feed.w3)
        parameters = tuple(part.weight for part in (*norms, *matrices))
        return self._block(stream, modulation, rotation, parameters, self._precision)


class _Attention(torch.autograd.Function):
    """softmax(query key^T) value for (batch, heads, n, width) without masks; autograd's own backward transposes the keys' gradient."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        weights = torch.softmax((query @ key.mT).float(), dim=-1).to(value.dtype)
        ctx.save_for_backward(query, key, value, weights)
        return weights @ value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value, weights = ctx.saved_tensors
        of_weights = (gradients[0] @ value.mT).float()
        share = weights.float()
        of_scores = (share * (of_weights - (of_weights * share).sum(-1, keepdim=True))).to(query.dtype)
        return of_scores @ key, of_scores.mT @ query, weights.mT @ gradients[0]


def _block(stream: Tensor, modulation: Tensor | None, rotation: Tensor, parameters: tuple[Tensor, ...], precision: torch.dtype) -> Tensor:
    before_attention, after_attention, before_feed, after_feed, norm_q, norm_k, to_q, to_k, to_v, to_out, w1, w2, w3 = parameters
    if modulation is not None:  # into the norms' weights: (batch, 1, width) is little to multiply and to sum gradients over
        scale_a, gate_a, scale_f, gate_f = modulation[:, None].chunk(4, dim=-1)
        before_attention, after_attention = before_attention * (1 + scale_a), after_attention * gate_a.tanh()
        before_feed, after_feed = before_feed * (1 + scale_f), after_feed * gate_f.tanh()
    width = norm_q.shape[0]
    qkv = torch.cat([_halves(to_q, width), _halves(to_k, width), to_v]).to(precision)
    query, key, value = linear(_rms(stream, before_attention).to(precision), qkv).unflatten(-1, (3, -1, width)).permute(2, 0, 3, 1, 4)
    query = _rotate(_rms(query.float(), _halves(norm_q, width) * width**-0.5), rotation).to(precision)
    key = _rotate(_rms(key.float(), _halves(norm_k, width)), rotation).to(precision)
    mixed = _Attention.apply(query, key, value).transpose(1, 2).flatten(2)
    stream = stream + _rms(linear(mixed, to_out.to(precision)).float(), after_attention)
    opened, carried = linear(_rms(stream, before_feed).to(precision), torch.cat([w1, w3]).to(precision)).chunk(2, dim=-1)
    fed = linear((silu(opened.float()) * carried.float()).to(precision), w2.to(precision))
    return stream + _rms(fed.float(), after_feed)


def _rms(values: Tensor, weight: Tensor) -> Tensor:
    return values * torch.rsqrt(values.square().mean(-1, keepdim=True) + _EPSILON) * weight


def _halves(weight: Tensor, width: int) -> Tensor:
    """Rows of each head from interleaved pairs (0 1 0 1 ...) to halves (0 0 ... 1 1 ...); dot products stay the same."""
    return weight.unflatten(0, (-1, width // 2, 2)).transpose(1, 2).flatten(0, 2)


def _rotate(values: Tensor, rotation: Tensor) -> Tensor:
    """`values` (batch, heads, n, width) in halves; `rotation` (2, n, width): cosine and sine, each twice."""
    real, imaginary = values.chunk(2, dim=-1)
    return values * rotation[0] + torch.cat([-imaginary, real], dim=-1) * rotation[1]


def _linear(values: Tensor, layer: nn.Linear, precision: torch.dtype) -> Tensor:
    bias = None if layer.bias is None else layer.bias.to(precision)
    return linear(values.to(precision), layer.weight.to(precision), bias)


def _timestep(model: ZImageTransformer2DModel, time: Tensor, precision: torch.dtype) -> Tensor:
    embedder = model.t_embedder
    waves = embedder.timestep_embedding(time * model.t_scale, embedder.frequency_embedding_size)
    return _linear(silu(_linear(waves, embedder.mlp[0], precision)), embedder.mlp[2], precision).float()


@cache
def _rotations(model: ZImageTransformer2DModel, bucket: int, side: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine (2, n, width) of caption tokens at (1 ... bucket, 0, 0) and image tokens at (bucket + 1, row, column)."""
    device = model.cap_pad_token.device
    caption = torch.zeros(bucket, 3, dtype=torch.int32, device=device)
    caption[:, 0] = torch.arange(1, bucket + 1)
    image = model.create_coordinate_grid((1, side, side), (bucket + 1, 0, 0), device).flatten(0, 2)
    turns = (model.rope_embedder(caption), model.rope_embedder(image))
    return tuple(torch.stack([turn.real, turn.imag]).repeat(1, 1, 2) for turn in turns)
