"""factory templates: what works without a server: checking a file, and looking at the market."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from factory.cli.templates import app
from factory.domain.read_template import read_template
from factory.market import load_market

GOOD = 'name: kettle\ntitle: 水壶\nprompt: "{colour}水壶"\nvariables: {colour: {example: 红色}}\n'


def run(*words: str, sent: str | bytes | None = None):
    return CliRunner().invoke(app, list(words), input=sent)


def test_a_good_file_is_ok_and_shows_its_example(tmp_path):
    (tmp_path / "kettle.yaml").write_text(GOOD, encoding="utf-8")
    result = run("lint", str(tmp_path / "kettle.yaml"))
    assert (result.exit_code, result.stdout.strip()) == (0, "ok: 红色水壶")
    assert run("lint", "-", sent=GOOD).stdout.strip() == "ok: 红色水壶"


def test_warnings_are_shown_and_no_failure():
    result = run("lint", "-", sent=GOOD.replace("{example: 红色}", "{}"))
    assert result.exit_code == 0
    assert "has no example" in result.stdout


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (GOOD.replace("{colour}", "{color}"), "1 of 2 findings are errors"),
        ("name: [", "cannot be read"),
        ("名: 水壶".encode("gbk"), "UTF-8"),
        (b"a: " + b"x" * 10_000_000, "at most 65536 bytes"),
    ],
)
def test_a_bad_file_fails_in_one_line(sent, said):
    result = run("lint", "-", sent=sent)
    assert result.exit_code == 1
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_missing_file_is_wrong_usage():
    result = run("lint", "/nowhere/kettle.yaml")
    assert result.exit_code == 2
    assert "cannot read" in result.stderr


def test_findings_as_json():
    result = run("lint", "-", "--json", sent=GOOD.replace("{colour}", "{color}"))
    assert [finding["level"] for finding in json.loads(result.stdout)] == ["error", "warning"]


def test_the_market_needs_no_server():
    result = run("market", "--json")
    assert [body["name"] for body in json.loads(result.stdout)] == [body.name for body in load_market()]
    table = run("market").stdout
    assert all(body.name in table for body in load_market())
    one = run("market", "white-bg")
    assert read_template(one.stdout.encode()).name == "white-bg"
    assert run("market", "nothing").exit_code == 2
