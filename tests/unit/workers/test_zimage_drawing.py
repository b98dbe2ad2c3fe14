"""The traps of drawing with ZImagePipeline, each with the behaviour of the library that makes it one."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from factory.errors import BadPicture, OutOfVram
from factory.workers.check_picture import check_picture
from tests.orders import ignore_step, order

GOLDEN_SIGMAS = [1.0, 0.9545, 0.9, 0.8333, 0.75, 0.6429, 0.5, 0.3, 0.0]


def draw(zimage, **changes):
    return zimage.generate(order(**changes), on_step=ignore_step)


def test_eight_steps_give_the_sigmas_that_the_model_was_distilled_on(zimage):
    draw(zimage)
    assert zimage.pipeline.scheduler.sigmas.tolist() == pytest.approx(GOLDEN_SIGMAS, abs=5e-5)


@pytest.mark.parametrize(("steps", "guidance", "counted"), [(8, 0.0, 8), (9, 0.0, 9), (8, 0.5, 16), (8, 1.0, 16)])
def test_the_count_sees_what_other_settings_would_cost(zimage, steps, guidance, counted):
    from factory.workers.engines.zimage.draw import count_evaluations

    with count_evaluations(zimage.pipeline.transformer) as evaluations:
        zimage.pipeline("a", 64, 64, num_inference_steps=steps, guidance_scale=guidance, output_type="latent")
    assert evaluations.pictures == counted
    assert not zimage.pipeline.transformer._forward_pre_hooks


def test_one_picture_a_call_goes_through_the_transformer(zimage):
    batches: list[int] = []
    zimage.pipeline.transformer.register_forward_pre_hook(lambda _module, inputs: batches.append(len(inputs[0])))
    draw(zimage)
    assert batches == [1] * 8


def test_the_library_writes_the_chat_template_into_the_list_and_ours_stays_whole(zimage):
    prompts = ["a mug"]
    zimage.pipeline.encode_prompt(prompts, do_classifier_free_guidance=False)
    assert prompts != ["a mug"]
    spec = order()
    first = zimage.generate(spec, on_step=ignore_step)
    assert spec == order()
    assert np.array_equal(first.pixels, zimage.generate(spec, on_step=ignore_step).pixels)


def test_the_stages_give_what_the_library_gives_in_one_call(zimage):
    import torch

    spec = order(width=128, height=96)
    whole = zimage.pipeline(
        spec.prompt,
        spec.height,
        spec.width,
        num_inference_steps=8,
        guidance_scale=0.0,
        generator=torch.Generator("cpu").manual_seed(spec.seed),
        output_type="pil",
    ).images[0]
    assert np.array_equal(np.asarray(whole), zimage.generate(spec, on_step=ignore_step).pixels)


def test_the_seed_alone_decides_the_noise(zimage):
    import torch

    torch.manual_seed(1)
    first, state = draw(zimage, seed=5).pixels, torch.get_rng_state()
    draw(zimage, seed=6)
    torch.manual_seed(2)
    assert np.array_equal(first, draw(zimage, seed=5).pixels)
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(("part", "blamed"), [("transformer", "latents"), ("text_encoder", "latents"), ("vae", "picture")])
def test_weights_that_are_not_finite_never_become_a_black_picture(zimage, part, blamed):
    import torch

    with torch.no_grad():
        for parameter in getattr(zimage.pipeline, part).parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(BadPicture, match=f"not finite: {blamed}"):
        draw(zimage)


def test_a_flat_picture_is_no_picture(zimage):
    import torch

    with torch.no_grad():
        zimage.pipeline.vae.decoder.conv_out.weight.zero_()
    with pytest.raises(BadPicture, match="flat"):
        check_picture(draw(zimage), order())


def test_a_full_card_becomes_out_of_vram_and_the_pipeline_draws_on(zimage):
    import torch

    before = draw(zimage).pixels

    def fill(done: int, _total: int) -> None:
        if done == 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has 2 GiB.")

    with pytest.raises(OutOfVram, match="the card is full: CUDA out of memory; use"):
        zimage.generate(order(), on_step=fill)
    assert np.array_equal(before, draw(zimage).pixels)


def test_the_tensors_of_a_failed_call_are_freed_while_the_error_is_kept():
    import torch

    from factory.workers.engines.zimage.out_of_memory import or_out_of_vram

    seen: list[weakref.ref[torch.Tensor]] = []

    def fill() -> None:
        big = torch.zeros(1000)
        seen.append(weakref.ref(big))
        # Held by a local of a frame of its own traceback: a cycle that reference counting alone does not free.
        error = torch.OutOfMemoryError("CUDA out of memory.")
        raise error

    gc.disable()
    try:
        with pytest.raises(OutOfVram) as kept:
            or_out_of_vram(fill)
        assert kept.value.__context__ is None
        assert seen[0]() is None
    finally:
        gc.enable()


def test_other_errors_pass_as_they_are(zimage):
    def fail(_done: int, _total: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        zimage.generate(order(), on_step=fail)
    assert not zimage.pipeline.transformer._forward_pre_hooks
