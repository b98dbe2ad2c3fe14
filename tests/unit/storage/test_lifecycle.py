"""lifecycle_rules: what S3 takes, and nothing that ends a living picture unless somebody tagged it."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from factory.cli.storage import app
from factory.storage.lifecycle import RETENTION, lifecycle_rules


def test_by_themselves_the_rules_touch_no_living_picture():
    rules = lifecycle_rules(undo_days=14)["Rules"]
    assert all("Days" not in rule.get("Expiration", {}) for rule in rules)
    assert [rule["NoncurrentVersionExpiration"] for rule in rules if "NoncurrentVersionExpiration" in rule] == [{"NoncurrentDays": 14}]
    assert len({rule["ID"] for rule in rules}) == len(rules)


def test_by_tag_each_class_that_ends_has_its_rule_long_after_the_factorys_own():
    rules = {rule["ID"]: rule for rule in lifecycle_rules(by_tag=True)["Rules"]}
    for name, life in RETENTION.items():
        rule = rules.get(f"factory-{name}")
        assert (rule is None) == (life is None)
        if rule and life:
            assert rule["Filter"] == {"Tag": {"Key": "factory-retention", "Value": name}}
            assert rule["Expiration"]["Days"] > life.days + 300


def test_the_command_prints_what_s3_takes():
    for option in ("--print", "--json"):
        answer = CliRunner().invoke(app, ["lifecycle", option])
        assert json.loads(answer.output) == lifecycle_rules()
    assert "factory-deleted-pictures" in CliRunner().invoke(app, ["lifecycle"]).output
