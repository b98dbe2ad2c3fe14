"""archive: a ZIP of any length, made while it is read."""

from __future__ import annotations

import csv
import hashlib
import io
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from factory.domain.asset import Asset
from factory.errors import StorageDown
from factory.jobs.archive import archive
from factory.storage.folder import FolderStorage


def write_manifest(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Three rows to a piece, as a long one comes in pieces."""
    text = io.StringIO()
    for number, row in enumerate(rows):
        csv.writer(text).writerow([row["filename"], row["sha256"]])
        if number % 3 == 2:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


@pytest.fixture
def storage(tmp_path):
    return FolderStorage(tmp_path / "pictures")


def delivered(storage, number: int, *, lost: bool = False):
    content = f"picture {number}".encode() * 1000
    digest = hashlib.sha256(content).hexdigest()
    name = f"春节主图_20260301_{number:06d}.png"
    asset = Asset(id=uuid.uuid4(), key=f"t/{name}", filename=name, sha256=digest)
    if not lost:
        storage.put(asset.key, content, media_type="image/png", sha256=digest, filename=name)
    return {"filename": name, "sha256": digest}, asset


def opened(pieces) -> zipfile.ZipFile:
    read = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert read.testzip() is None
    return read


def test_every_picture_is_the_one_of_the_manifest(storage):
    rows = [delivered(storage, number) for number in range(1, 9)] + [({"filename": None, "sha256": None}, None)]
    read = opened(archive(storage, iter(rows), write_manifest))
    lines = list(csv.reader(io.StringIO(read.read("manifest.csv").decode())))
    assert len(lines) == 9
    assert read.namelist() == [*(row["filename"] for row, _ in rows[:-1]), "manifest.csv"]
    assert {name: hashlib.sha256(read.read(name)).hexdigest() for name, _ in lines[:-1]} == dict(lines[:-1])
    assert {entry.compress_type for entry in read.infolist()} == {zipfile.ZIP_STORED}


def test_what_cannot_be_read_is_named_and_the_rest_is_there(storage):
    rows = [delivered(storage, 1), delivered(storage, 2, lost=True), delivered(storage, 3)]
    rows[2][1].sha256 = "0" * 64
    read = opened(archive(storage, rows, write_manifest))
    assert read.namelist() == [rows[0][0]["filename"], "manifest.csv", "errors.txt"]
    errors = read.read("errors.txt").decode().splitlines()
    assert [line.split(": ")[0] for line in errors] == [rows[1][0]["filename"], rows[2][0]["filename"]]
    assert "not_found" in errors[0]
    assert "other bytes" in errors[1]


class Away(FolderStorage):
    """A disk that is gone, and how often somebody waited for it."""

    asked = 0

    def get(self, key: str) -> bytes:
        self.asked += 1
        raise StorageDown(f"no answer for {key}")


def test_a_storage_that_is_away_is_not_waited_for_again_and_again(tmp_path):
    storage = Away(tmp_path / "pictures")
    rows = [delivered(storage, number, lost=True) for number in range(1, 11)]
    read = opened(archive(storage, rows, write_manifest))
    assert storage.asked == 3
    assert len(read.read("errors.txt").decode().splitlines()) == 10


def test_an_empty_batch_has_an_archive_too(storage):
    assert opened(archive(storage, [], write_manifest)).namelist() == ["manifest.csv"]
