"""What a style's training saves is what diffusers loads: the same picture of the same noise."""

import pytest
import torch
from torch.nn import init

from demo.training.architecture import build_transformer
from demo.training.fast_forward import FastForward, patches
from demo.training.style_lora import WEIGHTS, _add_changes, _save


@pytest.fixture
def transformer():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built = build_transformer(layers=1).requires_grad_(False)
        for parameter in built.parameters():  # nothing at its neutral start, or the output is zero
            init.normal_(parameter, mean=0.3 if parameter.ndim == 1 else 0.0, std=0.1)
        return built.eval()


@torch.no_grad()
def test_the_file_does_to_the_module_what_the_training_did(transformer, tmp_path):
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(2, 16, 16, 16, generator=generator)
    captions = torch.randn(2, 32, 128, generator=generator)
    time, lengths = torch.tensor([0.0, 0.5]), torch.tensor([32, 20])
    real = [caption[:length] for caption, length in zip(captions, lengths, strict=True)]
    base = transformer(list(latents.unsqueeze(2)), time, real, return_dict=False)[0]
    changed = build_transformer(layers=1)
    changed.load_state_dict(transformer.state_dict())
    changes = _add_changes(changed)
    for change in changes.values():  # what bfloat16 can hold, so that saving rounds nothing
        change.up.copy_((0.1 * torch.randn(change.up.shape, generator=generator)).bfloat16())
        change.down.copy_(change.down.bfloat16())
    ours = FastForward(changed, torch.float32, compiled=False)(patches(latents), time, captions, lengths)
    _save(changes, tmp_path)
    transformer.load_lora_adapter(tmp_path, weight_name=WEIGHTS, prefix="transformer")
    theirs = transformer(list(latents.unsqueeze(2)), time, real, return_dict=False)[0]
    torch.testing.assert_close(ours, patches(torch.stack(theirs).squeeze(2)), atol=1e-4, rtol=1e-3)
    assert (torch.stack(theirs) - torch.stack(base)).abs().mean() > 0.01


def test_every_matrix_of_every_block_is_changed(transformer):
    changes = _add_changes(transformer)
    assert len(changes) == 3 * 7  # a noise refiner, a context refiner, one layer; four matrices of attention and three of feed-forward
    assert all(not change.up.any() for change in changes.values()), "a fresh change changes nothing"
