"""What may be loaded as Z-Image: whole, safetensors, of one dtype, without a network."""

from __future__ import annotations

import json
import pickle
import socket
from pathlib import Path

import pytest

from factory.errors import BadCheckpoint
from factory.workers.engines import open_engine

TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"
TEXT_ENCODER = "text_encoder/model.safetensors"


def load(path: Path):
    return open_engine("zimage", device="cpu").load(path)


def rewrite(file: Path, change) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})


def test_every_weight_has_the_asked_dtype_although_the_files_hold_bfloat16(zimage):
    import torch

    from factory.workers.engines.zimage import modules_of

    for module in modules_of(zimage.pipeline):
        assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}


def test_half_precision_is_never_chosen():
    import torch

    from factory.workers.engines.zimage import ZImageEngine

    assert ZImageEngine("cpu").dtype == torch.float32
    assert ZImageEngine("cuda").dtype == torch.bfloat16


def test_loading_opens_no_socket(tiny_checkpoint, monkeypatch):
    def refuse(*_args: object, **_options: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert load(tiny_checkpoint).bytes > 0


@pytest.mark.parametrize("file", [TRANSFORMER, TEXT_ENCODER, "vae/diffusion_pytorch_model.safetensors"])
def test_a_missing_tensor_is_named_and_not_made_up(broken, file):
    gone: list[str] = []
    rewrite(broken / file, lambda tensors: gone.append(tensors.popitem()[0]))
    with pytest.raises(BadCheckpoint, match="lacks the tensor") as error:
        load(broken)
    assert gone[0] in str(error.value)


def test_a_tensor_of_another_shape_is_refused(broken):
    def shrink(tensors) -> None:
        name = next(name for name in tensors if tensors[name].dim() == 2)
        tensors[name] = tensors[name][1:].contiguous()

    rewrite(broken / TRANSFORMER, shrink)
    with pytest.raises(BadCheckpoint, match="does not load"):
        load(broken)


@pytest.mark.parametrize("file", [TRANSFORMER, TEXT_ENCODER])
def test_a_file_cut_short_is_refused(broken, file):
    content = (broken / file).read_bytes()
    (broken / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(BadCheckpoint):
        load(broken)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", ["transformer/diffusion_pytorch_model.bin", TRANSFORMER, "text_encoder/pytorch_model.bin", TEXT_ENCODER])
def test_a_pickle_is_refused_and_not_run_whatever_its_name(broken, tmp_path, name):
    (broken / name).write_bytes(pickle.dumps(Trap(tmp_path / "ran")))
    with pytest.raises(BadCheckpoint):
        load(broken)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("index", ["{", "{}", json.dumps({"_class_name": "StableDiffusionPipeline"})])
def test_a_folder_of_another_kind_is_refused(broken, index):
    (broken / "model_index.json").write_text(index)
    with pytest.raises(BadCheckpoint):
        load(broken)


def test_a_missing_part_is_refused(broken):
    (broken / "scheduler" / "scheduler_config.json").unlink()
    with pytest.raises(BadCheckpoint, match="does not load"):
        load(broken)
