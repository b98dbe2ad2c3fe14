"""`factory up` as a person runs it: real servers, real workers, the simulated engine."""

import json
import signal
import time
import urllib.error
import urllib.request
from base64 import b64encode

import psutil
import pytest
from PIL import Image

from tests.e2e.house import House, gone_within, lives

pytestmark = pytest.mark.timeout(480)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    made = House(tmp_path_factory.mktemp("up"))
    yield made
    made.close()


def status_of(url, seconds=90):
    """What a server answers that may still be starting."""
    until = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as refusal:
            return refusal.code
        except OSError:
            assert time.monotonic() < until, "no answer"
            time.sleep(0.2)


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
    asked = urllib.request.Request(facts["flower_url"], headers={"Authorization": f"Basic {login}"})
    assert (status_of(asked), status_of(facts["flower_url"])) == (200, 401)

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
    assert gone_within(family, 90), [one for one in family if lives(one)]
    after = house.start()
    assert after["url"] == before["url"]
    jobs = json.loads(house.factory("jobs", "list", "--status", "succeeded", "--limit", "0", "--json").stdout)
    assert len(jobs) == 25


def test_a_catalogue_is_drawn_once_and_then_there_is_nothing_to_do(house):
    if house.up is None or house.up.poll() is not None:
        house.start()
    planned = ("plan", "demo/catalogue.yaml", "--json")
    before = json.loads(house.factory(*planned).stdout)
    assert (before["to_render"], before["quote"]["to_draw"]) == (12, 12)
    drawn = house.factory("apply", "demo/catalogue.yaml", "--wait").stdout
    assert "12 pictures ordered" in drawn
    assert "completed" in drawn
    after = json.loads(house.factory(*planned).stdout)
    assert (after["to_render"], after["counts"]["present"], after["quote"]) == (0, 12, None)
    assert "nothing was ordered" in house.factory("apply", "demo/catalogue.yaml").stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.drill)])
def test_asked_to_stop_it_ends_in_order_and_leaves_nothing(house, number):
    if house.up is None or house.up.poll() is not None:
        house.start()
    assert house.up
    family = house.family()
    house.up.send_signal(number)
    assert house.up.wait(120) == 0
    assert gone_within(family, 5)
    assert "stopped; the data stays" in house.log.read_text()
    assert not house.facts_file.exists()
    assert "no factory to talk to" in house.factory("jobs", "list", code=2).stderr
