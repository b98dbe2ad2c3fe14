"""infra/nginx by a real nginx (Debian: nginx-light), as a plain user, before a real HTTP server that echoes what it was asked."""

import base64
import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import make_secrets
import pytest

from factory.embedded.ports import free_port

pytestmark = pytest.mark.drill
SOURCE = Path(__file__).resolve().parents[2] / "infra" / "nginx"
TRUSTING = ssl.create_default_context()
TRUSTING.check_hostname, TRUSTING.verify_mode = False, ssl.CERT_NONE
# What is written piece by piece: the first piece, then one of two of the same length.
FIRST, LAST, STUCK = b"the first picture, ", b"the last", b"too late"
HEARD = threading.Event()


class Echo(BaseHTTPRequestHandler):
    def do_GET(self):
        if "piecemeal" in self.path:
            self.answer_in_pieces()
            return
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.dumps({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the names are the standard library's

    def answer_in_pieces(self):
        """The second piece says whether the client had the first one by then."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(FIRST + LAST)))
        self.end_headers()
        self.wfile.write(FIRST)
        self.wfile.write(LAST if HEARD.wait(5) else STUCK)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def nginx():
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    assert found, "nginx is missing: this drill needs it (Debian, Ubuntu: apt install nginx-light)"
    return found


@pytest.fixture(scope="module")
def upstream():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


@pytest.fixture(scope="module")
def config(tmp_path_factory, upstream):
    """The configuration as it stands, with this machine's paths, ports and one upstream for all."""
    folder = tmp_path_factory.mktemp("nginx")
    shutil.copytree(SOURCE, folder, dirs_exist_ok=True)
    make_secrets.make(folder / "secrets", "localhost")
    ports = {port: free_port() for port in ("8080", "8443", "9443")}
    for file in folder.rglob("*.conf"):
        text = re.sub(r"/tmp/(\w+)", rf"{folder}/\1", file.read_text())
        text = text.replace("/run/secrets/", f"{folder}/secrets/").replace("/dev/stdout", f"{folder}/access.log")
        text = re.sub(r"http://(api:8000|flower:5555|s3:8333)", f"http://127.0.0.1:{upstream}", text)
        text = re.sub(r"listen (\d+)", lambda found: f"listen 127.0.0.1:{ports[found[1]]}", text)
        file.write_text(text)
    return folder, ports


@pytest.fixture(scope="module")
def door(nginx, config):
    folder, ports = config
    command = [nginx, "-e", "stderr", "-c", str(folder / "nginx.conf"), "-g", "daemon off;" + ("" if os.geteuid() else " user root;")]
    with subprocess.Popen(command, stderr=sys.stderr) as process:
        wait_for(ports["8443"])
        yield lambda path, port="8443", **how: ask(f"https://127.0.0.1:{ports[port]}{path}", **how)
        process.terminate()


def wait_for(port):
    until = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < until, "nginx does not listen"
            time.sleep(0.05)


def ask(url, *, data=None, **headers):
    """Status, headers and body; a refusal is an answer too."""
    request = urllib.request.Request(url, data=data, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, context=TRUSTING, timeout=20) as answer:
            return answer.status, answer.headers, json.load(answer)
    except urllib.error.HTTPError as refusal:
        body = refusal.read()
        return refusal.code, refusal.headers, json.loads(body) if body.startswith(b"{") else {}


def test_nginx_accepts_the_configuration(nginx, config):
    done = subprocess.run([nginx, "-t", "-e", "stderr", "-c", str(config[0] / "nginx.conf")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


def test_the_api_learns_the_real_client_and_not_the_claimed_one(door):
    status, headers, seen = door("/api/v1/jobs", X_Forwarded_For="6.6.6.6", X_Real_IP="6.6.6.6")
    assert status == 200
    assert seen["x-real-ip"] == seen["x-forwarded-for"] == "127.0.0.1"
    assert seen["x-forwarded-proto"] == "https"
    assert headers["Strict-Transport-Security"]


def test_plain_http_leads_to_tls(door, config):
    port = config[1]["8080"]
    assert urllib.request.urlopen(f"http://127.0.0.1:{port}/alive", timeout=5).read() == b"ok\n"
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as plain:
        plain.request("GET", "/api/v1/jobs?x=1")
        answer = plain.getresponse()
        assert (answer.status, answer.headers["Location"]) == (301, "https://127.0.0.1/api/v1/jobs?x=1")


def test_metrics_stay_inside(door):
    assert door("/metrics")[0] == 404


@pytest.mark.parametrize("path", ["/flower/", "/flower/metrics", "/flower/healthcheck", "/flower/api/workers"])
def test_every_route_of_flower_asks_for_the_password(door, config, path):
    assert door(path)[0] == 401
    password = (config[0] / "secrets" / "factory_flower_password").read_text()
    for given, status in (("ops:wrong", 401), (f"ops:{password}", 200)):
        assert door(path, Authorization="Basic " + base64.b64encode(given.encode()).decode())[0] == status


def test_a_body_of_60_mb_is_refused_with_a_problem(door):
    status, headers, problem = door("/api/v1/batches", data=bytes(60_000_000))
    assert (status, headers["Content-Type"], problem["code"]) == (413, "application/problem+json", "body_too_large")


def test_links_to_pictures_keep_their_host_and_query_and_only_read(door, config):
    status, _, seen = door("/factory/t/p/p_20260101_000001.png?X-Amz-Signature=abc", "9443")
    assert (status, seen["path"]) == (200, "/factory/t/p/p_20260101_000001.png?X-Amz-Signature=abc")
    assert seen["host"] == f"127.0.0.1:{config[1]['9443']}"
    assert door("/factory/t/p/x.png", "9443", data=b"x")[0] == 403
    assert door("/other-bucket/x", "9443")[0] == 404


@pytest.mark.parametrize(
    "path",
    ["batches/piecemeal/archive.zip", "batches/piecemeal/manifest.csv", "batches/piecemeal/manifest.jsonl", "audit/export?piecemeal"],
)
def test_files_of_any_length_are_handed_on_as_they_are_written(door, config, path):
    HEARD.clear()
    with urllib.request.urlopen(f"https://127.0.0.1:{config[1]['8443']}/api/v1/{path}", context=TRUSTING, timeout=20) as answer:
        assert answer.read(len(FIRST)) == FIRST
        HEARD.set()
        assert answer.read() == LAST, "it was held back until it was whole"


def test_signatures_of_links_are_not_logged(door, config):
    door("/files/t/p/x.png?signature=never-in-a-log")
    time.sleep(0.2)
    log = (config[0] / "access.log").read_text()
    assert "/files/t/p/x.png" in log
    assert "never-in-a-log" not in log


def test_too_many_requests_are_refused_with_a_problem(door):
    answers = [door("/readyz") for _ in range(400)]
    refused = [problem for status, _, problem in answers if status == 429]
    assert refused
    assert refused[0]["code"] == "too_many_requests"
