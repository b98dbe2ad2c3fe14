"""LoRAs come and go without a trace, and one that does not fit is an error, not a picture."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from factory.domain.generation_spec import LoraUse
from factory.errors import BadLora, BadPicture, Capacity, OutOfVram
from factory.workers.checkpoints import file_sha256, manifest_sha256
from factory.workers.gpu import Gpu
from factory.workers.loras import WEIGHTS, lora_file, measure_lora
from factory.workers.pipeline_cache import PipelineCache
from tests.orders import ignore_step, order

if TYPE_CHECKING:
    from factory.workers.engines.zimage import LoadedZImage

Tensors = dict[str, Any]
RANK = 4


@dataclass
class Wardrobe:
    """A loaded checkpoint, and a shelf that LoRAs for it are written to."""

    zimage: LoadedZImage
    shelf: Path
    sides: dict[str, tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        """(in, out) of every matrix of every attention, seen before anything is worn."""
        import torch

        parts = self.zimage.pipeline.transformer.named_modules()
        found = {name: part for name, part in parts if isinstance(part, torch.nn.Linear) and ".attention." in name}
        self.sides = {name: (part.in_features, part.out_features) for name, part in found.items()}

    def tensors(self, seed: int = 0) -> Tensors:
        """Of a LoRA for all of them."""
        import torch

        chance = torch.Generator().manual_seed(seed)
        found = {}
        for name, (wide, high) in self.sides.items():
            found[f"transformer.{name}.lora_A.weight"] = torch.randn(RANK, wide, generator=chance)
            found[f"transformer.{name}.lora_B.weight"] = torch.randn(high, RANK, generator=chance)
        return found

    def write(self, name: str, tensors: Tensors | bytes, *, scale: float = 1.0) -> LoraUse:
        from safetensors.torch import save_file

        file = self.shelf / name / WEIGHTS
        file.parent.mkdir(exist_ok=True)
        if isinstance(tensors, bytes):
            file.write_bytes(tensors)
        else:
            save_file({key: tensor.contiguous().clone() for key, tensor in tensors.items()}, file, metadata={"format": "pt"})
        return LoraUse(name=name, sha256=file_sha256(file), scale=scale)

    def draw(self, *loras: LoraUse):
        return self.zimage.generate(order(loras=loras), on_step=ignore_step)

    def worn(self) -> list[str]:
        adapters: dict[str, list[str]] = self.zimage.pipeline.get_list_adapters()
        return adapters.get("transformer", [])


@pytest.fixture(scope="module")
def loaded(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Wardrobe:
    from factory.workers.engines.zimage import ZImageEngine

    shelf = tmp_path_factory.mktemp("loras")
    return Wardrobe(ZImageEngine("cpu", loras=shelf).load(tiny_checkpoint), shelf)


@pytest.fixture(scope="module")
def base(loaded: Wardrobe) -> Any:
    return loaded.draw().pixels


@pytest.fixture
def wardrobe(loaded: Wardrobe, base: Any) -> Iterator[Wardrobe]:
    """After every test the checkpoint draws what it drew at first."""
    yield loaded
    assert np.array_equal(loaded.draw().pixels, base)
    assert (loaded.worn(), loaded.zimage.lora_key) == ([], "")


def test_a_lora_changes_the_picture_and_comes_back_the_same(wardrobe, base):
    use = wardrobe.write("sketch", wardrobe.tensors())
    first = wardrobe.draw(use)
    assert not np.array_equal(first.pixels, base)
    assert wardrobe.zimage.lora_key == order(loras=(use,)).lora_key != ""
    assert np.array_equal(wardrobe.draw().pixels, base)
    assert wardrobe.worn() == []
    assert np.array_equal(wardrobe.draw(use).pixels, first.pixels)


def test_what_is_on_stays_on(wardrobe):
    use = wardrobe.write("sketch", wardrobe.tensors())
    assert "lora" in wardrobe.draw(use).seconds
    before = dict(wardrobe.zimage.pipeline.transformer.named_parameters())
    again = wardrobe.draw(use)
    assert "lora" not in again.seconds
    after = dict(wardrobe.zimage.pipeline.transformer.named_parameters())
    assert all(after[name] is parameter for name, parameter in before.items())


def test_another_scale_is_set_without_loading(wardrobe, base):
    use = wardrobe.write("sketch", wardrobe.tensors())
    strong = wardrobe.draw(use).pixels
    before = dict(wardrobe.zimage.pipeline.transformer.named_parameters())
    weak = wardrobe.draw(use.model_copy(update={"scale": 0.3})).pixels
    none = wardrobe.draw(use.model_copy(update={"scale": 0.0})).pixels
    assert not np.array_equal(weak, strong)
    assert not np.array_equal(weak, none)
    assert np.array_equal(none, base), "scale 0 is the checkpoint itself, bit for bit"
    assert np.array_equal(wardrobe.draw(use).pixels, strong)
    assert all(before[name] is parameter for name, parameter in wardrobe.zimage.pipeline.transformer.named_parameters())


def test_two_at_once_and_one_of_them_alone_afterwards(wardrobe):
    one, two = (wardrobe.write(name, wardrobe.tensors(seed), scale=0.5) for seed, name in enumerate(("night", "sketch")))
    alone = wardrobe.draw(one).pixels
    both = wardrobe.draw(one, two).pixels
    assert len(wardrobe.worn()) == 2
    assert not np.array_equal(both, alone)
    assert np.array_equal(wardrobe.draw(one).pixels, alone)
    assert len(wardrobe.worn()) == 1
    quiet = wardrobe.draw(one, two.model_copy(update={"scale": 0.0})).pixels
    assert np.array_equal(quiet, alone)


@pytest.mark.parametrize("name", ["水墨 2.0 (final)", "v1.5.safetensors", "lora_A"])
def test_any_name_of_a_folder_will_do(wardrobe, base, name):
    use = wardrobe.write(name, wardrobe.tensors())
    assert not np.array_equal(wardrobe.draw(use).pixels, base)


def test_one_file_under_two_names_counts_twice(wardrobe):
    tensors = wardrobe.tensors()
    one, two = wardrobe.write("first", tensors, scale=0.25), wardrobe.write("second", tensors, scale=0.25)
    assert one.sha256 == two.sha256
    twice = wardrobe.draw(one, two).pixels.astype(int)
    assert np.abs(twice - wardrobe.draw(one.model_copy(update={"scale": 0.5})).pixels).max() <= 2


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32"])
def test_matrices_take_the_type_of_the_checkpoint(wardrobe, kind):
    import torch

    tensors = {name: tensor.to(getattr(torch, kind)) for name, tensor in wardrobe.tensors().items()}
    wardrobe.draw(wardrobe.write("typed", tensors))
    assert {parameter.dtype for parameter in wardrobe.zimage.pipeline.transformer.parameters()} == {torch.float32}


def test_a_file_in_a_trainers_own_layout_is_converted_by_the_library(wardrobe, base):
    import torch

    chance = torch.Generator().manual_seed(0)
    layer = "lora_unet_layers_0_attention_to_q"
    side = wardrobe.sides["layers.0.attention.to_q"][0]
    tensors = {f"{layer}.lora_down.weight": torch.randn(RANK, side, generator=chance), f"{layer}.alpha": torch.tensor(4.0)}
    tensors[f"{layer}.lora_up.weight"] = torch.randn(side, RANK, generator=chance)
    assert not np.array_equal(wardrobe.draw(wardrobe.write("kohya", tensors)).pixels, base)


def renamed(tensors: Tensors, before: str, after: str) -> Tensors:
    return {name.replace(before, after): tensor for name, tensor in tensors.items()}


def without(tensors: Tensors, ending: str) -> Tensors:
    gone = next(name for name in tensors if name.endswith(ending))
    return {name: tensor for name, tensor in tensors.items() if name != gone}


def narrower(tensors: Tensors) -> Tensors:
    name = next(name for name in tensors if name.endswith("lora_A.weight"))
    return {**tensors, name: tensors[name][:, 1:]}


def first(tensors: Tensors) -> Any:
    return next(iter(tensors.values()))


UNFIT: dict[str, tuple[Callable[[Tensors], Tensors | bytes], str]] = {
    "nothing of it is there": (lambda tensors: renamed(tensors, ".attention.", ".attn."), "does not match"),
    "one layer is not there": (lambda tensors: renamed(tensors, "layers.1.attention.to_q", "layers.9.attention.to_q"), "1 of its"),
    "another part": (lambda tensors: renamed(tensors, "transformer.", "text_encoder."), "of the transformer"),
    "one tensor of another part": (lambda tensors: {**tensors, "text_encoder.q.lora_A.weight": first(tensors)}, "of the transformer"),
    "a matrix is missing": (lambda tensors: without(tensors, "lora_B.weight"), "only one of its two"),
    "another shape": (narrower, "does not load"),
    "a DoRA": (lambda tensors: {**tensors, "transformer.layers.0.attention.to_q.dora_scale": first(tensors)}, "DoRA"),
    "no LoRA": (lambda tensors: renamed(tensors, ".lora_", ".weight_"), "lora_A or lora_B"),
    "a module that has no weights": (lambda tensors: renamed(tensors, ".to_q.lora", ".lora"), "does not load|reached"),
    "no tensors": (lambda _: {}, "no tensors"),
    "a pickle": (lambda _: pickle.dumps({"a": 1}), "not a safetensors file"),
    "an empty file": (lambda _: b"", "not a safetensors file"),
    "a header that is no object": (lambda _: (2).to_bytes(8, "little") + b"[]", "not a safetensors file|no tensors"),
    "cut short": (lambda _: (10**9).to_bytes(8, "little") + b"{}", "not a safetensors file"),
}


@pytest.mark.parametrize("reason", UNFIT)
def test_what_does_not_fit_is_refused_and_leaves_no_trace(wardrobe, reason):
    spoil, match = UNFIT[reason]
    good = wardrobe.write("good", wardrobe.tensors(1))
    wardrobe.draw(good)
    spoilt = spoil(wardrobe.tensors())
    use = wardrobe.write("bad", spoilt)
    with pytest.raises(BadLora, match=match):
        wardrobe.draw(good, use)
    assert (wardrobe.worn(), wardrobe.zimage.lora_key) == ([], "")
    wardrobe.draw(good)


def test_other_bytes_than_ordered_are_refused(wardrobe):
    use = wardrobe.write("sketch", wardrobe.tensors())
    wardrobe.write("sketch", wardrobe.tensors(seed=2))
    with pytest.raises(BadLora, match="the order says"):
        wardrobe.draw(use)


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/tmp"])
def test_only_folders_of_the_shelf_are_opened(wardrobe, name):
    with pytest.raises(BadLora, match="name of a folder"):
        wardrobe.draw(LoraUse(name=name, sha256="0" * 64))


def test_a_folder_that_is_not_there_is_another_workers_work(wardrobe):
    use = wardrobe.write("sketch", wardrobe.tensors())
    wardrobe.draw(use)
    with pytest.raises(Capacity, match="no folder of LoRA 'missing'"):
        wardrobe.draw(use.model_copy(update={"name": "missing", "sha256": "0" * 64}))
    assert wardrobe.worn() == []
    (wardrobe.shelf / "empty").mkdir()
    with pytest.raises(BadLora, match="has no pytorch"):
        wardrobe.draw(use.model_copy(update={"name": "empty", "sha256": "0" * 64}))
    wardrobe.draw(use)


def test_without_a_shelf_there_are_no_loras():
    with pytest.raises(Capacity, match="FACTORY_LORAS_DIR"):
        lora_file(None, LoraUse(name="a", sha256=""))


def test_only_the_one_file_counts(wardrobe):
    use = wardrobe.write("sketch", wardrobe.tensors())
    (wardrobe.shelf / "sketch" / "pytorch_lora_weights.bin").write_bytes(pickle.dumps("never read"))
    (wardrobe.shelf / "sketch" / "another.safetensors").write_bytes(b"never read")
    assert measure_lora(wardrobe.shelf / "sketch")[0] == use.sha256
    wardrobe.draw(use)


def test_a_lora_that_is_not_finite_draws_no_black_picture(wardrobe):
    tensors = wardrobe.tensors()
    first(tensors).fill_(float("nan"))
    with pytest.raises(BadPicture, match="not finite"):
        wardrobe.draw(wardrobe.write("nan", tensors))


def test_a_full_card_takes_everything_off(wardrobe, monkeypatch):
    import torch

    def full(*_args: object, **_options: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.50 GiB.")

    use = wardrobe.write("sketch", wardrobe.tensors())
    with monkeypatch.context() as patch:
        patch.setattr(wardrobe.zimage.pipeline, "set_adapters", full)
        with pytest.raises(OutOfVram):
            wardrobe.draw(use)
    assert wardrobe.worn() == []
    wardrobe.draw(use)


def test_the_gpu_says_what_is_on_its_card(wardrobe, tiny_checkpoint):
    from factory.workers.engines.zimage import ZImageEngine

    gpu = Gpu(PipelineCache({"zimage": ZImageEngine("cpu", loras=wardrobe.shelf)}, tiny_checkpoint.parent, budget_bytes=10**9))
    assert gpu.in_use == ("", "")
    use = wardrobe.write("sketch", wardrobe.tensors())
    spec = order(checkpoint=tiny_checkpoint.name, checkpoint_sha256=manifest_sha256(tiny_checkpoint), loras=(use,))
    gpu.generate(spec)
    assert gpu.in_use == (spec.checkpoint, spec.lora_key)
    with pytest.raises(BadLora):
        gpu.generate(spec.model_copy(update={"loras": (use.model_copy(update={"sha256": "0" * 64}),)}))
    assert gpu.in_use == (spec.checkpoint, "")
