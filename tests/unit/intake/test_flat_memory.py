"""Rows are read, checked and laid aside one at a time: four times as many take hardly more memory."""

from __future__ import annotations

import gc
import io
import json
import tracemalloc
from contextlib import closing

import pytest

from factory.intake.columns import Reading
from factory.intake.rows import parsed_rows
from factory.intake.uploads import Upload
from factory.jobs.prepare_batch import prepare_batch
from tests.integration.jobs.books import ADMISSION

# About as many as prompts are remembered, and as fit the file before it goes to the disk.
FEW, MANY = 1000, 4000
CONSTANT = 500_000


def csv(count: int) -> bytes:
    lines = (f"第{n}只红色的杯子，白色背景，柔和的光,SKU-{n},row-{n}\n" for n in range(count))
    return ("提示词,货号,外部编号\n" + "".join(lines)).encode()


def ndjson(count: int) -> bytes:
    rows = ({"prompt": f"a red mug {n}，白色背景，柔和的光", "sku": f"SKU-{n}", "external_id": f"row-{n}"} for n in range(count))
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def peak(kind: str, count: int, *, at_once: bool = False) -> int:
    """The most bytes that Python held for an order of `count` rows, its file not counted; `at_once`: with all rows in a list."""
    upload = Upload(io.BytesIO({"csv": csv, "ndjson": ndjson}[kind](count)), kind, "")
    gc.collect()
    tracemalloc.start()
    try:
        with closing(upload.rows(Reading())) as rows:
            parsed = parsed_rows(rows)
            prepared = prepare_batch(list(parsed) if at_once else parsed, ADMISSION, locate=upload.locate)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (prepared.rows, prepared.refused, len(prepared.external_ids)) == (count, 0, count)
    prepared.file.close()
    return most


def many_and_bound(kind: str, *, at_once: bool = False) -> tuple[float, float]:
    peak(kind, 10)  # what the first use loads is no row's memory
    return peak(kind, MANY, at_once=at_once), 1.3 * peak(kind, FEW, at_once=at_once) + CONSTANT


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_memory_does_not_grow_with_the_rows(kind):
    many, bound = many_and_bound(kind)
    assert many <= bound


def test_a_list_of_all_rows_would_be_seen():
    many, bound = many_and_bound("csv", at_once=True)
    assert many > bound
