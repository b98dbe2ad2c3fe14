"""Checkpoint folders: the hash, the weight, and what is refused."""

from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path

import pytest

from factory.errors import BadCheckpoint
from factory.workers.checkpoints import footprint, manifest_sha256
from factory.workers.engines.simulated import write_checkpoint


def folder(path: Path, **files: str) -> Path:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


def test_the_manifest_depends_on_names_and_bytes_and_not_on_the_place(tmp_path):
    one = manifest_sha256(folder(tmp_path / "one", a="1", b="2"))
    assert one == manifest_sha256(folder(tmp_path / "two", b="2", a="1"))
    assert one != manifest_sha256(folder(tmp_path / "swapped", a="2", b="1"))
    assert one != manifest_sha256(folder(tmp_path / "longer", a="1", b="2", c=""))
    assert one != manifest_sha256(folder(tmp_path / "renamed", a="1", c="2"))
    assert len(one) == 64


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(tmp_path):
    path = folder(tmp_path / "one", a="1")
    before, stat = manifest_sha256(path), (path / "a").stat()
    (path / "a").write_text("2")
    os.utime(path / "a", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert manifest_sha256(path) == before
    os.utime(path / "a", ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert manifest_sha256(path) != before


@pytest.mark.parametrize("name", ["weights.bin", "transformer/model.ckpt", "vae/x.PT", "unet.pth", "a.pickle", "pipeline.py"])
def test_files_that_can_run_code_are_refused_by_name(tmp_path, name):
    path = write_checkpoint(tmp_path / "evil")
    (path / name).parent.mkdir(exist_ok=True)
    (path / name).write_bytes(pickle.dumps({}))
    with pytest.raises(BadCheckpoint, match="convert it to safetensors") as refusal:
        manifest_sha256(path)
    assert name in str(refusal.value)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("")])
def test_a_missing_or_empty_folder_has_no_manifest(tmp_path, make):
    make(tmp_path / "gone")
    with pytest.raises(BadCheckpoint, match="missing or empty"):
        manifest_sha256(tmp_path / "gone")


def write_header(file: Path, tensors: dict[str, tuple[str, list[int]]]) -> None:
    header = json.dumps({name: {"dtype": kind, "shape": shape, "data_offsets": [0, 0]} for name, (kind, shape) in tensors.items()})
    file.write_bytes(struct.pack("<Q", len(header)) + header.encode())


def test_footprint_counts_floats_at_the_target_width_and_others_at_their_own(tmp_path):
    write_header(tmp_path / "a.safetensors", {"w": ("F32", [10, 10]), "scalar": ("BF16", []), "ids": ("I64", [3])})
    assert footprint(tmp_path, float_bytes=2) == 200 + 2 + 24
    assert footprint(tmp_path, float_bytes=4) == 400 + 4 + 24


@pytest.mark.parametrize(
    "content", [b"", b"1234", struct.pack("<Q", 2**60) + b"{}", struct.pack("<Q", 4) + b"{}!!", pickle.dumps([1, 2, 3])]
)
def test_a_broken_header_is_a_bad_checkpoint(tmp_path, content):
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(BadCheckpoint, match="not a safetensors file"):
        footprint(tmp_path, float_bytes=2)


def test_the_tiny_checkpoint_is_small_readable_by_all_and_the_same_each_time(tiny_checkpoint, tmp_path):
    from tests.random_checkpoint import build

    assert manifest_sha256(build(tmp_path / "again")) == manifest_sha256(tiny_checkpoint)
    assert manifest_sha256(build(tmp_path / "other", seed=1)) != manifest_sha256(tiny_checkpoint)
    files = [file for file in tiny_checkpoint.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 15_000_000
    assert {file.stat().st_mode & 0o777 for file in files} == {0o644}
