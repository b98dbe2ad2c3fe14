"""The training forward is the module's own forward, and sampling with it is the pipeline's sampling."""

from __future__ import annotations

import pytest
import torch
from diffusers import ZImagePipeline

from demo.training.architecture import build_autoencoder, build_scheduler, build_text_encoder, build_transformer
from demo.training.fast_forward import FastForward, caption_features, patches


@pytest.fixture(scope="module")
def transformer():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built = build_transformer(layers=2)
        for parameter in built.parameters():  # nothing at its neutral start, or a forgotten part would go unseen
            torch.nn.init.normal_(parameter, mean=0.3 if parameter.ndim == 1 else 0.0, std=0.1)
        return built.eval()


def _fast(transformer, latents, sigma, captions, lengths):
    forward = FastForward(transformer, torch.float32, compiled=False)
    return forward(patches(latents), 1 - sigma, captions, lengths)


@pytest.mark.parametrize("side", [16, 32])
@pytest.mark.parametrize("bucket", [32, 64])
@torch.no_grad()
def test_equals_the_module(transformer, side, bucket):
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(3, 16, side, side, generator=generator)
    captions = torch.randn(3, bucket, 128, generator=generator)
    lengths = torch.tensor([bucket, bucket - 31, bucket - 7])
    sigma = torch.tensor([1.0, 0.3, 0.75])
    real = [caption[:length] for caption, length in zip(captions, lengths, strict=True)]
    theirs = transformer(list(latents.unsqueeze(2)), 1 - sigma, real, return_dict=False)[0]
    ours = _fast(transformer, latents, sigma, captions, lengths)
    torch.testing.assert_close(ours, patches(torch.stack(theirs).squeeze(2)), atol=2e-5, rtol=1e-4)


def test_its_gradients_are_the_modules(transformer):
    generator = torch.Generator().manual_seed(4)
    latents, captions = torch.randn(2, 16, 16, 16, generator=generator), torch.randn(2, 32, 128, generator=generator)
    sigma, lengths = torch.tensor([1.0, 0.3]), torch.tensor([32, 20])
    wanted = torch.randn(2, 64, 64, generator=generator)
    real = [caption[:length] for caption, length in zip(captions, lengths, strict=True)]

    def gradients(predicted):
        transformer.zero_grad()
        (predicted * wanted).sum().backward()
        return {name: part.grad.clone() for name, part in transformer.named_parameters() if part.grad is not None}

    theirs = gradients(patches(torch.stack(transformer(list(latents.unsqueeze(2)), 1 - sigma, real, return_dict=False)[0]).squeeze(2)))
    ours = gradients(_fast(transformer, latents, sigma, captions, lengths))
    assert ours.keys() >= {name for name in theirs if "x_pad" not in name}
    for name, gradient in ours.items():
        scale = theirs[name].abs().max().clamp(min=1e-6)
        torch.testing.assert_close(gradient / scale, theirs[name] / scale, atol=1e-4, rtol=0, msg=name)


@torch.no_grad()
def test_caption_features_are_the_last_but_one_hidden_states():
    encoder = build_text_encoder(300).eval()
    tokens = torch.randint(0, 300, (2, 32), generator=torch.Generator().manual_seed(2))
    mask = torch.ones_like(tokens)
    mask[1, 20:] = 0
    theirs = encoder(input_ids=tokens, attention_mask=mask.bool(), output_hidden_states=True).hidden_states[-2]
    ours = caption_features(encoder, tokens)
    torch.testing.assert_close(ours[0], theirs[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours[1, :20], theirs[1, :20], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_euler_with_it_is_the_pipeline(transformer):
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(2, 16, 16, 16, generator=generator)
    captions = torch.randn(2, 32, 128, generator=generator)
    lengths = torch.tensor([20, 32])
    pipeline = ZImagePipeline(build_scheduler(), build_autoencoder(), None, None, transformer)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        prompt_embeds=[caption[:length] for caption, length in zip(captions, lengths, strict=True)],
        height=128, width=128, num_inference_steps=8, guidance_scale=0.0, latents=noise, output_type="latent",
    ).images  # fmt: skip
    levels = [3 * u / (1 + 2 * u) for u in torch.linspace(1, 1 / 8, 8).tolist()]
    ours = patches(noise)
    forward = FastForward(transformer, torch.float32, compiled=False)
    for sigma, following in zip(levels, [*levels[1:], 0.0], strict=True):
        ours = ours + (sigma - following) * forward(ours, torch.full((2,), 1 - sigma), captions, lengths)
    torch.testing.assert_close(ours, patches(theirs), atol=1e-4, rtol=1e-4)
