"""The autoencoder's training goes on where it was stopped, and its latents come scaled."""

import numpy as np
import pytest
import torch

from demo.training import autoencoder


@pytest.fixture(scope="module")
def pictures():
    """A hundred smooth pictures, of which the training holds 48 out."""
    chance = np.random.default_rng(0)
    slopes = np.linspace(0, 1, 64)[None, :, None, None] * chance.uniform(0, 255, (100, 1, 1, 3))
    return {64: np.broadcast_to(slopes, (100, 64, 64, 3)).astype(np.uint8)}


@pytest.fixture(scope="module", autouse=True)
def quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(autoencoder, "PHASES", ((1.0, ((64, 2),)),))
        patch.setattr(autoencoder, "SAVE_SECONDS", 0.0)
        yield


@pytest.fixture(scope="module")
def finished(pictures, quick, tmp_path_factory):
    """The folder of a finished training, and its model."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, autoencoder.train_autoencoder(pictures, folder, "cpu", steps=4)


def test_stopped_and_resumed_is_the_same_training(pictures, tmp_path, monkeypatch):
    whole = autoencoder.train_autoencoder(pictures, tmp_path / "whole", "cpu", steps=8)
    advance = autoencoder._Run.advance

    def stopped(run, *arguments):
        if run.step == 7:  # two averages in, one to come
            raise KeyboardInterrupt
        return advance(run, *arguments)

    with monkeypatch.context() as once:
        once.setattr(autoencoder._Run, "advance", stopped)
        with pytest.raises(KeyboardInterrupt):
            autoencoder.train_autoencoder(pictures, tmp_path / "parts", "cpu", steps=8)
    parts = autoencoder.train_autoencoder(pictures, tmp_path / "parts", "cpu", steps=8)
    for name, weight in parts.state_dict().items():
        torch.testing.assert_close(weight, whole.state_dict()[name], atol=1e-6, rtol=1e-5)


def test_a_finished_stage_is_read_not_repeated(pictures, finished):
    folder, first = finished
    (folder / "autoencoder.pt").unlink()
    again = autoencoder.train_autoencoder(pictures, folder, "cpu", steps=4)
    assert (again.config.scaling_factor, again.config.shift_factor) == (first.config.scaling_factor, first.config.shift_factor)
    assert not (folder / "autoencoder.pt").exists()


def test_latents_have_zero_mean_and_unit_spread(pictures, finished):
    _, vae = finished
    latents = autoencoder.encode_pictures(vae, pictures[64]).astype(np.float32)
    assert latents.shape == (100, 16, 8, 8)
    assert abs(latents.mean()) < 0.05
    assert latents.std() == pytest.approx(1, abs=0.05)
