"""`factory demo` as a person runs it, and as one stops it."""

import json
import signal
import subprocess
import time

import psutil
import pytest
from PIL import Image

from tests.e2e.house import FACTORY, ROOT, House, gone_within, named_after

pytestmark = pytest.mark.timeout(480)


def test_the_demo_draws_its_catalogue_and_leaves_files_only(tmp_path):
    house = House(tmp_path, "a home, 工厂's #1")
    seen = json.loads(house.factory("demo", "--out", str(tmp_path / "out"), "--json").stdout)
    assert seen["complete"] is True
    assert seen["records"] == 24
    assert len(seen["seeds"]) == 24
    assert Image.open(tmp_path / "out" / "contact_sheet.png").width > 1000
    assert len(list((tmp_path / "out" / "pictures").glob("skus_*.png"))) == 24
    lines = (tmp_path / "out" / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["checkpoint_sha256"] for line in lines} == {seen["checkpoints"][0].split()[1]}
    assert not named_after(tmp_path)


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "worker-gpu.pid"),
        (signal.SIGKILL, "api.pid"),
        pytest.param(signal.SIGINT, "api.pid", marks=pytest.mark.drill),
        pytest.param(signal.SIGKILL, "worker-gpu.pid", marks=pytest.mark.drill),
    ],
)
def test_an_interrupted_demo_leaves_no_process(tmp_path, number, moment):
    house = House(tmp_path)
    demo = subprocess.Popen([*FACTORY, "demo", "--out", str(tmp_path / "out")], cwd=ROOT, env=house.env, stderr=subprocess.PIPE)
    until = time.monotonic() + 120
    while not (tmp_path / "home" / "demo" / "logs" / moment).exists():
        assert demo.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    family = psutil.Process(demo.pid).children(recursive=True)
    demo.send_signal(number)
    demo.communicate(timeout=120)
    assert demo.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    seconds = 90 if number == signal.SIGKILL else 5
    assert gone_within(family, seconds)
    assert gone_within(named_after(tmp_path), seconds), "started while it was being interrupted"
    assert not named_after(tmp_path)
