"""Pictures by the real ZImagePipeline and the demo checkpoint, from the order to the labelled file in S3; drawn again, the same pixels."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import uuid
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from demo.judge import Judge
from demo.shop.goods import BACKGROUNDS, COLOURS, OBJECTS
from factory.jobs.checkpoints import register_checkpoint
from factory.postprocess.png import describe
from factory.workers.checkpoints import footprint, manifest_sha256
from tests.e2e.line import Line
from tests.integration.queue.plant import ACTOR, kill_child, until

pytestmark = pytest.mark.timeout(600)

SIDE = 256
CHECKPOINT = Path(__file__).resolve().parents[2] / "demo" / "checkpoint"
ROWS = [
    {"prompt": "一把红色茶壶，放在木桌上", "sku": "茶壶-1", "seed": 11},
    {"prompt": "a blue teapot on a wooden table", "sku": "POT-2", "seed": 12},
    {"prompt": "双11 sale: 绿色马克杯, a green mug, white background", "sku": "MUG-3", "seed": 2**63 - 1},
]
SHOWN = [("teapot", "red", "wood"), ("teapot", "blue", "wood"), ("mug", "green", "white")]


@pytest.fixture(scope="module")
def line(build_line) -> Line:
    line: Line = build_line(FACTORY_LEASE_SECONDS="12", OMP_NUM_THREADS="1")
    folder = shutil.copytree(CHECKPOINT, line.folder / "checkpoints" / "demo")
    size = footprint(folder, float_bytes=4)
    register_checkpoint(line.db, name="demo", engine="zimage", sha256=manifest_sha256(folder), size=size, native_side=SIDE, actor=ACTOR)
    line.open()
    return line


def wait_for(line: Line, batch: str, rows: int) -> None:
    """Asks the database: asking the API all the time would take a core from the drawing."""
    unfinished = "SELECT 1 FROM jobs WHERE batch_id = %s AND status IN ('queued', 'running')"
    until(lambda: not line.rows(unfinished, batch), 240, f"{rows} pictures are drawn")
    assert line.client.get(f"/api/v1/batches/{batch}").json()["done"] == rows


def draw(line: Line, project: str) -> list[dict[str, Any]]:
    """Order ROWS over HTTP, to be drawn anew, and wait for them; returns the jobs as the API shows them, in the order of the rows."""
    rows = [{"model": "demo", **row} for row in ROWS]
    answer = line.client.post("/api/v1/batches", params={"project": project, "reuse": False}, json=rows)
    assert (answer.status_code, answer.json()["rows_accepted"]) == (202, len(ROWS)), answer.text
    batch = answer.json()["id"]
    wait_for(line, batch, len(ROWS))
    jobs = line.client.get(f"/api/v1/batches/{batch}/jobs").raise_for_status().json()["data"]
    return sorted(jobs, key=lambda job: job["row"])


def content_of(line: Line, job: dict[str, Any]) -> bytes:
    """What a customer gets who follows the signed link: no key needed."""
    return line.client.get(job["asset"]["url"], headers={"Authorization": ""}).raise_for_status().content


def pixels(content: bytes) -> np.ndarray[Any, Any]:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture(scope="module")
def jobs(line: Line) -> list[dict[str, Any]]:
    return draw(line, "spring")


def test_every_picture_is_drawn_as_ordered(jobs: list[dict[str, Any]]) -> None:
    for job, row in zip(jobs, ROWS, strict=True):
        assert (job["status"], job["attempt"], job["error"]) == ("succeeded", 1, None)
        shown = {name: job["effective"][name] for name in ("prompt", "seed", "width", "height", "num_inference_steps", "guidance_scale")}
        assert shown == {
            "prompt": row["prompt"],
            "seed": row["seed"],
            "width": SIDE,
            "height": SIDE,
            "num_inference_steps": 8,
            "guidance_scale": 0.0,
        }


def test_every_picture_shows_what_its_row_asks_for(line: Line, jobs: list[dict[str, Any]]) -> None:
    seen = Judge.from_file().judge(np.stack([pixels(content_of(line, job)) for job in jobs]))
    assert [(OBJECTS[item], COLOURS[colour], BACKGROUNDS[ground]) for item, colour, ground in seen] == SHOWN


def test_the_stored_file_is_a_labelled_picture(line: Line, jobs: list[dict[str, Any]]) -> None:
    for job in jobs:
        content = content_of(line, job)
        assert pixels(content).shape == (SIDE, SIDE, 3)
        (packet,) = describe(content)["xmp"]
        label = re.search(r"<TC260:AIGC>(.*?)</TC260:AIGC>", packet)
        assert label
        fields = json.loads(unescape(label[1]))
        assert (fields["Label"], uuid.UUID(fields["ProduceID"])) == ("1", uuid.UUID(job["id"]))
        assert "trainedAlgorithmicMedia" in packet
        assert job["requested"]["prompt"].encode() not in content


def test_the_record_tells_what_was_drawn(line: Line, jobs: list[dict[str, Any]]) -> None:
    for job, row in zip(jobs, ROWS, strict=True):
        (record,) = line.rows("SELECT * FROM generations WHERE job_id = %s", job["id"])
        content = line.storage.get(record["asset_key"])
        digest = hashlib.sha256(content).hexdigest()
        assert (record["asset_sha256"], record["asset_bytes"]) == (digest, len(content))
        assert job["asset"]["sha256"] == digest
        assert content == content_of(line, job)
        assert record["evaluations"] == 8
        assert (record["prompt"], record["seed"], record["checkpoint"]) == (row["prompt"], str(row["seed"]), "demo")
        assert record["facts"]["engine"] == "zimage"
    line.storage_matches()


def test_another_worker_draws_the_same_pixels(line: Line, jobs: list[dict[str, Any]]) -> None:
    """Another process, another job, another label: what is seen does not change."""
    former = next(worker for worker in line.hired if worker.log.stem == "gpu-1")
    former.stop()
    line.hire_gpu("gpu-2")
    again = draw(line, "autumn")
    workers = {row["worker"] for row in line.rows("SELECT DISTINCT worker FROM generations WHERE batch_id = %s", again[0]["batch_id"])}
    assert workers == {"gpu-2"}
    pictures = []
    for before, after in zip(jobs, again, strict=True):
        first, second = content_of(line, before), content_of(line, after)
        assert first != second, "each file names its own job"
        assert np.array_equal(pixels(first), pixels(second))
        pictures.append(pixels(first).tobytes())
    assert len(set(pictures)) == len(ROWS), "each prompt and seed has its own picture"


@pytest.mark.drill
def test_a_job_whose_worker_was_killed_is_drawn_again_as_the_same_picture(line: Line, jobs: list[dict[str, Any]]) -> None:
    """Eight orders of one spec; the worker dies over one of them, and all eight show what the first worker drew."""
    rows = [{"model": "demo", **ROWS[0], "sku": f"AGAIN-{number}"} for number in range(8)]
    batch = line.client.post("/api/v1/batches", params={"project": "again", "reuse": False}, json=rows).json()["id"]
    drawing = "SELECT 1 FROM jobs WHERE batch_id = %s AND status = 'running' AND phase = 'generating'"
    until(lambda: bool(line.rows(drawing, batch)), 150, "a picture is being drawn")
    kill_child(line.hired[-1])
    wait_for(line, batch, len(rows))
    again = line.client.get(f"/api/v1/batches/{batch}/jobs").raise_for_status().json()["data"]
    assert {job["status"] for job in again} == {"succeeded"}
    assert max(job["attempt"] for job in again) == 2, "nobody held a job when the worker died"
    first = pixels(content_of(line, jobs[0]))
    assert all(np.array_equal(pixels(content_of(line, job)), first) for job in again)
