"""`factory up` and `factory demo` as a person runs them: real servers, real workers, the simulated engine."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

import psutil
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
FACTORY = [sys.executable, "-m", "factory"]
pytestmark = pytest.mark.timeout(240)


class House:
    """One FACTORY_HOME and the `factory up` that runs in it."""

    def __init__(self, folder, name="home"):
        self.folder, self.name = folder, name
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FACTORY_")}
        self.env = {**kept, "FACTORY_HOME": str(folder / name), "FACTORY_DEMO_ENGINE": "simulated", "FACTORY_SIMULATED_SECONDS": "0.1"}
        self.up: subprocess.Popen[bytes] | None = None

    @property
    def facts_file(self):
        return self.folder / self.name / "running.json"

    def start(self):
        self.up = subprocess.Popen([*FACTORY, "up", "--json"], cwd=ROOT, env=self.env, stdout=subprocess.PIPE, stderr=self.log.open("wb"))
        until = time.monotonic() + 120
        while not self.facts_file.exists() or json.loads(self.facts_file.read_text())["pid"] != self.up.pid:
            assert self.up.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.1)
        return json.loads(self.facts_file.read_text())

    @property
    def log(self):
        return self.folder / "up.log"

    def factory(self, *words, code=0):
        done = subprocess.run([*FACTORY, *words], cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def family(self):
        return psutil.Process(self.up.pid).children(recursive=True) if self.up else []

    def close(self):
        if self.up and self.up.poll() is None:
            self.up.send_signal(signal.SIGTERM)
            self.up.wait(60)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    made = House(tmp_path_factory.mktemp("up"))
    yield made
    made.close()


def gone_within(processes, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        living = [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        if not living:
            return True
        time.sleep(0.1)
    return False


def test_the_stack_takes_orders_restarts_what_dies_and_keeps_its_data(house):
    facts = house.start()
    saved = house.folder / "saved"
    batches = json.loads(house.factory("submit", "demo/skus.csv", "--project", "spring", "--wait", "--save", str(saved), "--json").stdout)
    assert batches[0]["counts"]["succeeded"] == 24
    assert len(list(saved.glob("spring_*.png"))) == 24
    assert Image.open(next(saved.iterdir())).size == (256, 256)
    records = json.loads(house.factory("audit", "records", "--batch", batches[0]["id"], "--limit", "0", "--json").stdout)
    assert len({record["asset_sha256"] for record in records}) == 24

    login = b64encode(f"{facts['flower_user']}:{facts['flower_password']}".encode()).decode()
    with urllib.request.urlopen(
        urllib.request.Request(facts["flower_url"], headers={"Authorization": f"Basic {login}"}), timeout=10
    ) as answer:
        assert answer.status == 200
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(facts["flower_url"], timeout=10)

    worker = int((house.folder / "home" / "logs" / "worker-gpu.pid").read_text())
    psutil.Process(worker).kill()
    assert "succeeded" in house.factory("submit", "--prompt", "a cup after the crash", "--wait").stdout
    assert "worker-gpu ended with exit code 137" in house.log.read_text()


def test_a_second_one_in_the_same_folder_says_that_it_runs_already(house):
    assert house.up
    assert house.up.poll() is None
    told = house.factory("up", code=1).stderr
    assert f"process {house.up.pid}" in told
    assert "already" in told


def test_the_doctor_finds_it_well(house):
    seen = json.loads(house.factory("doctor", "--json").stdout)
    assert seen["ok"] is True
    assert len(seen["checks"]) >= 15


def test_nothing_is_left_after_kill_nine_and_a_restart_finds_its_data(house):
    assert house.up
    family, before = house.family(), json.loads(house.facts_file.read_text())
    assert len(family) > 10
    house.up.kill()
    house.up.wait()
    assert gone_within(family, 40), [one.cmdline() for one in family if one.is_running()]
    after = house.start()
    assert after["url"] == before["url"]
    jobs = json.loads(house.factory("jobs", "list", "--status", "succeeded", "--limit", "0", "--json").stdout)
    assert len(jobs) == 25


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_ends_in_order_and_leaves_nothing(house, number):
    if house.up is None or house.up.poll() is not None:
        house.start()
    assert house.up
    family = house.family()
    house.up.send_signal(number)
    assert house.up.wait(60) == 0
    assert gone_within(family, 1)
    assert "stopped; the data stays" in house.log.read_text()
    assert not house.facts_file.exists()
    assert "no factory to talk to" in house.factory("jobs", "list", code=2).stderr


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
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(one.info["cmdline"] or [])]


@pytest.mark.parametrize("moment", ["api.pid", "worker-gpu.pid"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_demo_leaves_no_process(tmp_path, number, moment):
    house = House(tmp_path)
    demo = subprocess.Popen([*FACTORY, "demo", "--out", str(tmp_path / "out")], cwd=ROOT, env=house.env, stderr=subprocess.PIPE)
    until = time.monotonic() + 60
    while not (tmp_path / "home" / "demo" / "logs" / moment).exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    family = psutil.Process(demo.pid).children(recursive=True)
    demo.send_signal(number)
    demo.communicate(timeout=60)
    assert demo.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert gone_within(family, 40 if number == signal.SIGKILL else 1)
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(one.info["cmdline"] or [])]
