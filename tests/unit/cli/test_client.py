"""The client against a small HTTP server that behaves badly on request."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from rich.progress import Progress
from typer.testing import CliRunner

from factory.cli import app
from factory.cli.client import Client
from factory.cli.exit_codes import Failed, NotReachable
from factory.cli.progress import Watched

PROBLEM = {
    "detail": "width 100 must be a multiple of 16; try 96",
    "code": "size_not_multiple_of_16",
    "errors": [
        {"pointer": "/width", "detail": "width 100 must be a multiple of 16; try 96"},
        {"pointer": "/model", "detail": "model 'x' is not registered"},
    ],
}


class Server(ThreadingHTTPServer):
    """`answers` are given one after the other; `asked` is what came."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.answers: list[tuple[int, Any]] = []


class Answers(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, dict(self.headers)))
        status, body = self.server.answers.pop(0)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(server):
    with Client(f"http://127.0.0.1:{server.server_port}", "fk_key") as made:
        yield made


def test_a_post_tried_again_carries_the_same_idempotency_key(server, client):
    server.answers = [(503, PROBLEM), (503, PROBLEM), (202, {"id": "1"})]
    assert client.post("/jobs", json={"prompt": "a cup"}) == {"id": "1"}
    keys = {headers["Idempotency-Key"] for _, _, headers in server.asked}
    assert len(server.asked) == 3
    assert len(keys) == 1
    assert server.asked[0][2]["Authorization"] == "Bearer fk_key"


def test_a_problem_becomes_one_line_with_every_field(server, client):
    server.answers = [(422, PROBLEM)]
    with pytest.raises(Failed) as told:
        client.post("/jobs", json={})
    assert str(told.value) == f"{PROBLEM['detail']} (/model: model 'x' is not registered) [size_not_multiple_of_16]"


def test_a_stranger_on_the_port_is_said_so(server, client):
    server.answers = [(404, b"<html>nginx</html>")]
    with pytest.raises(Failed, match="is it a content factory"):
        client.get("/jobs")


def test_pages_follow_the_cursor_and_stop_at_the_limit(server, client):
    page = {"data": [{"id": n} for n in range(200)], "next_cursor": "abc"}
    server.answers = [(200, page), (200, {"data": [{"id": 200}], "next_cursor": "def"})]
    assert len(list(client.pages("/jobs", limit=201, sku="A 1", status=["failed", "expired"], tag=None))) == 201
    assert "limit=200" in server.asked[0][1]
    assert "sku=A+1&status=failed&status=expired" in server.asked[0][1]
    assert "tag" not in server.asked[0][1]
    assert "cursor=abc" in server.asked[1][1]
    assert "limit=1&" in server.asked[1][1]


def test_nobody_there_is_exit_code_three(monkeypatch):
    with socket.socket() as held:  # bound, so that nobody else takes it, and not listening
        held.bind(("127.0.0.1", 0))
        monkeypatch.setenv("FACTORY_URL", f"http://127.0.0.1:{held.getsockname()[1]}")
        monkeypatch.setenv("FACTORY_API_KEY", "fk_key")
        monkeypatch.setattr("factory.cli.client.TRIES", 2)
        answer = CliRunner().invoke(app, ["jobs", "list"])
    assert answer.exit_code == 3
    assert "is the factory up" in answer.stderr


def test_a_download_cut_short_is_not_reachable(server, client):
    server.answers = [(503, PROBLEM)]
    with pytest.raises(NotReachable):
        list(client.lines("/audit/export"))


QUOTE: dict[str, Any] = {
    **dict.fromkeys(("images", "to_draw", "duplicates", "reused", "rows_blocked", "workers"), 0),
    **dict.fromkeys(("gpu_seconds", "gpu_seconds_saved", "cost"), 0.0),
    **dict.fromkeys(("blocked", "warnings"), ()),
    **dict.fromkeys(("finish", "deadline_kept")),
    "currency": "CNY",
    "finish_unknown": "no worker",
}
SAID = ["--template", "white-bg", "--var", "product=杯=子", "--map", "品名=vars.product", "--mapping", "spring", "--sheet", "表"]
SAID += ["--priority", "offpeak", "--not-before", "+8h", "--deadline", "+2d", "--campaign", "618", "--no-reuse"]


@pytest.mark.parametrize(("command", "to", "answer"), [("quote", "quotes", (200, QUOTE)), ("submit", "batches", (422, PROBLEM))])
def test_orders_and_quotes_of_a_file_say_the_same(server, monkeypatch, tmp_path, command, to, answer):
    monkeypatch.setenv("FACTORY_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("FACTORY_API_KEY", "fk_key")
    (tmp_path / "skus.csv").write_text("品名\n杯\n", encoding="utf-8")
    server.answers = [answer]
    done = CliRunner().invoke(app, [command, str(tmp_path / "skus.csv"), *SAID])
    assert done.exit_code == (0 if answer[0] == 200 else 1), done.output
    (asked,) = server.asked
    path, _, query = asked[1].partition("?")
    assert (asked[0], path, asked[2]["Content-Type"]) == ("POST", f"/api/v1/{to}", "text/csv")
    assert dict(parse_qsl(query)) == {
        "template": "white-bg",
        "vars.product": "杯=子",
        "map.品名": "vars.product",
        "mapping": "spring",
        "sheet": "表",
        "priority": "offpeak",
        "not_before": "+8h",
        "deadline": "+2d",
        "campaign": "618",
        "reuse": "false",
    }
    wrong = CliRunner().invoke(app, [command, str(tmp_path / "skus.csv"), "--var", "product"])
    assert (wrong.exit_code, "NAME=VALUE" in wrong.stderr) == (2, True)


def test_a_file_is_saved_under_its_own_name_inside_the_folder(server, client, tmp_path):
    server.answers = [(200, b"picture")]
    saved = client.save({"asset": {"id": "7", "filename": "../../evil.png"}}, tmp_path / "out")
    assert saved == tmp_path / "out" / "evil.png"
    assert saved.read_bytes() == b"picture"


def batch_of(done):
    counts = {"queued": 9 - done, "succeeded": done}
    return 200, {
        "id": "0123456789abcdef",
        "external_id": None,
        "status": "running" if done < 9 else "completed",
        "project": "spring",
        "total": 9,
        "done": done,
        "counts": counts,
    }


def test_nothing_is_said_about_the_rest_before_pictures_were_seen_to_end(server, client, monkeypatch):
    clock = iter([0.0, 60.0, 61.0, 62.0, 63.0])
    monkeypatch.setattr("factory.cli.progress.time", SimpleNamespace(monotonic=lambda: next(clock)))
    with Progress(disable=True) as bars:
        server.answers = [batch_of(0), batch_of(0), batch_of(1), batch_of(2), batch_of(5), batch_of(9)]
        watched = Watched(client, bars, "x")
        said = []
        for _ in range(5):
            watched.look()
            said.append((bars.tasks[0].fields["rate"], bars.tasks[0].fields["left"]))
    assert said == [("", "waiting for a worker"), ("", ""), ("1.0/s", ""), ("2.0/s", "about 2 s left"), ("2.7/s", "")]
    assert watched.is_done


def test_a_late_finish_is_told_when_ordering(server, monkeypatch, tmp_path):
    monkeypatch.setenv("FACTORY_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("FACTORY_API_KEY", "fk_key")
    (tmp_path / "skus.csv").write_text("prompt\na\n", encoding="utf-8")
    counted = {"rows_accepted": 1, "rows_refused": 0}
    for kept, told in ((False, True), (True, False), (None, False)):
        for what in (["--prompt", "a"], [str(tmp_path / "skus.csv")]):
            server.answers = [(202, {"id": "1", "status": "queued", "warnings": [], "asset": None, "deadline_kept": kept, **counted})]
            done = CliRunner().invoke(app, ["submit", *what, "--deadline", "+1h", "--expires-at", "+8h"])
            assert done.exit_code == 0, done.output
            assert ("the deadline is not likely to be kept" in done.stderr) == told
    query = dict(parse_qsl(server.asked[-1][1].partition("?")[2]))
    assert (query["deadline"], query["expires_at"]) == ("+1h", "+8h")
