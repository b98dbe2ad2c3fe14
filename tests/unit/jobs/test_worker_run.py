"""WorkerRun: what a worker has been drawing, counted claim by claim."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from factory.domain.claim import Claim
from factory.domain.generation_spec import GenerationSpec, LoraUse
from factory.jobs.claim_lists import W_SECONDS, Run
from factory.jobs.worker_run import WorkerRun

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def claim(checkpoint: str = "a", *, lane: str = "bulk", lora: str = "") -> Claim:
    loras = (LoraUse(name=lora, sha256="0" * 64),) if lora else ()
    spec = GenerationSpec(
        prompt="a kettle", checkpoint=checkpoint, checkpoint_sha256="0", engine="simulated", width=512, height=512, seed=1, loras=loras
    )
    return Claim(uuid.uuid4(), 1, "w1", "t", None, None, "p", NOW.date(), 1, spec, NOW, lane)


def test_a_new_worker_has_no_past() -> None:
    assert WorkerRun(lambda: False).next() == Run()
    assert WorkerRun(lambda: True).next().offpeak_open


def test_pictures_are_counted_from_the_load_on() -> None:
    run = WorkerRun(lambda: False)
    counted = []
    for checkpoint, resident in (("a", []), ("a", ["a"]), ("b", ["a", "b"]), ("c", ["b", "a"]), ("c", ["c", "b"])):
        run.took(claim(checkpoint), resident)
        counted.append(run.next().since_swap)
    assert counted == [1, 2, 3, 1, 2], "a checkpoint that is held costs no load"


def test_its_patience_is_what_its_pictures_take_and_never_more_than_w() -> None:
    run = WorkerRun(lambda: False)
    for _ in range(40):
        run.drew({"load": 9.0, "encode": 0.05, "denoise": 0.1, "decode": 0.05})
    assert run.next().patience == pytest.approx(0.2, rel=0.01), "a load is no picture's time"
    for _ in range(40):
        run.drew({"denoise": 60.0})
    assert run.next().patience == W_SECONDS


def test_a_run_of_the_same_loras_ends_with_others_or_another_checkpoint() -> None:
    run = WorkerRun(lambda: False)
    counted: list[tuple[str, int]] = []
    for checkpoint, lora in (("a", "x"), ("a", "x"), ("a", ""), ("a", ""), ("b", ""), ("b", "x")):
        run.took(claim(checkpoint, lora=lora), [checkpoint] if counted and counted[-1][0] == checkpoint else [])
        counted.append((checkpoint, run.lora_run))
    assert [length for _, length in counted] == [1, 2, 1, 2, 1, 1]
    assert run.next().lora_key.startswith("x:")


def test_interactive_pictures_in_a_row() -> None:
    run = WorkerRun(lambda: False)
    counted = []
    for lane in ("interactive", "interactive", "bulk", "offpeak", "interactive"):
        run.took(claim(lane=lane), ["a"])
        counted.append(run.interactive_run)
    assert counted == [1, 2, 0, 0, 1]


def test_the_next_claim_knows_what_the_disk_lacks() -> None:
    assert WorkerRun(lambda: False, lacks={"b", "a"}).next().lacks == ("a", "b")
