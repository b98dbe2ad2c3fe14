"""factory notify: what a chat would be told, without telling it."""

import json

import pytest
from typer.testing import CliRunner

from factory.cli import app


def run(*words):
    return CliRunner().invoke(app, ["notify", "test", *words])


@pytest.mark.parametrize("kind", ["standard", "feishu", "wecom", "dingtalk"])
def test_a_dry_run_shows_the_message_and_sends_nothing(kind):
    shown = run(kind, "--dry-run")
    assert shown.exit_code == 0
    assert "POST https://example.com/hook" in shown.output
    as_json = json.loads(run(kind, "--dry-run", "--json").stdout)
    assert as_json["method"] == "POST"
    assert "batch.ended" in str(as_json["body"]) or "Batch ended" in str(as_json["body"])


def test_a_secret_signs_the_dry_run():
    assert json.loads(run("feishu", "--dry-run", "--json", "--secret", "robot-secret").stdout)["body"]["sign"]
    assert "&sign=" in json.loads(run("dingtalk", "--dry-run", "--json", "--secret", "robot-secret").stdout)["url"]
    assert "webhook-signature" in json.loads(run("standard", "--dry-run", "--json").stdout)["headers"]


def test_sending_needs_an_address_and_goes_nowhere_inside():
    assert run("feishu").exit_code == 2
    inside = run("feishu", "--url", "http://169.254.169.254/latest/")
    assert inside.exit_code == 1
    assert "url_not_allowed" in inside.output
    assert run("wecom", "--dry-run", "--secret", "abcdefghi").exit_code == 1
