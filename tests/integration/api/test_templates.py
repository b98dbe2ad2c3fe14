"""Templates over HTTP: saved as files, looked at, exported, ordered by; the market beside them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from factory.domain.api_key import Scope
from factory.domain.audit_event import Actor
from factory.domain.read_template import read_template
from factory.jobs.loras import register_lora
from factory.market import load_market

TEMPLATES, JOBS = "/api/v1/templates", "/api/v1/jobs"
YAML = {"Content-Type": "application/yaml"}
GOOD = """
name: kettle
title: {zh: 水壶, en: Kettle}
prompt: "{颜色}水壶，{where}"
variables:
  颜色: {type: choice, allowed: [红色, 蓝色], title: 颜色}
  where: {default: 白底图, example: 木桌上}
size: 256x512
seed: 88415
"""


def save(client, text: str | bytes = GOOD, **params: Any):
    return client.post(TEMPLATES, content=text if isinstance(text, bytes) else text.encode(), headers=YAML, params=params)


def codes(answer) -> dict[str, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return {error["pointer"]: error["code"] for error in answer.json()["errors"]}


def test_a_template_is_saved_looked_at_and_exported(client):
    answer = save(client)
    made = answer.json()
    assert (answer.status_code, made["reference"], made["version"], made["warnings"]) == (201, "kettle@1", 1, [])
    assert answer.headers["location"] == f"{TEMPLATES}/kettle@1"
    assert made["body"]["prompt"] == "{颜色}水壶，{where}"
    shown = client.get(made["links"]["self"]).json()
    assert shown == {name: value for name, value in made.items() if name != "warnings"}
    assert client.get(f"{TEMPLATES}/kettle").json() == shown
    file = client.get(made["links"]["yaml"])
    assert file.headers["content-type"].startswith("application/yaml")
    assert file.headers["content-disposition"] == 'attachment; filename="kettle@1.yaml"'
    assert read_template(file.content) == read_template(GOOD.encode())
    assert save(client, file.content).status_code == 200, "an export saved again is no new version"


def test_json_is_the_same_as_yaml(client):
    assert save(client).status_code == 201
    answer = client.post(TEMPLATES, json=yaml.safe_load(GOOD))
    assert (answer.status_code, answer.json()["version"]) == (200, 1)


def test_an_edit_is_the_next_version_and_the_old_one_stays(client):
    save(client)
    second = save(client, GOOD.replace("水壶，", "茶壶，"))
    assert (second.status_code, second.json()["reference"]) == (201, "kettle@2")
    assert client.get(f"{TEMPLATES}/kettle@1").json()["body"]["prompt"] == "{颜色}水壶，{where}"
    assert client.get(f"{TEMPLATES}/kettle").json()["version"] == 2
    assert [row["version"] for row in client.get(f"{TEMPLATES}/kettle/versions").json()["data"]] == [2, 1]
    for method in ("put", "patch", "delete"):
        assert getattr(client, method)(f"{TEMPLATES}/kettle@1").status_code == 405


def test_a_dry_run_keeps_nothing(client):
    checked = save(client, GOOD + "\nmodel: x\n", dry_run=1).json()
    assert checked == {"object": "lint", "ok": True, "findings": []}
    bad = save(client, GOOD.replace("{where}", "{wher}"), dry_run=1).json()
    assert not bad["ok"]
    assert [(each["level"], each["code"], each["pointer"]) for each in bad["findings"]] == [
        ("error", "template_hole_undeclared", "/prompt"),
        ("warning", "template_variable_unused", "/variables/where"),
    ]
    assert client.get(TEMPLATES).json()["data"] == []


def test_warnings_do_not_keep_a_template_from_being_saved(client):
    answer = save(client, GOOD.replace(", example: 木桌上", "").replace("default: 白底图", 'default: ""'))
    assert answer.status_code == 201
    assert [warning["code"] for warning in answer.json()["warnings"]] == ["template_example_missing"]


def test_lists_go_on_page_after_page(client):
    for name in ("a", "b", "c"):
        save(client, GOOD.replace("kettle", name))
    page = client.get(TEMPLATES, params={"limit": 2}).json()
    assert [row["name"] for row in page["data"]] == ["c", "b"]
    rest = client.get(TEMPLATES, params={"limit": 2, "cursor": page["next_cursor"]}).json()
    assert ([row["name"] for row in rest["data"]], rest["next_cursor"]) == (["a"], None)


def test_another_tenants_template_is_not_there(client, client_of, tenant):
    save(client)
    stranger = client_of(f"stranger-{tenant[-8:]}")
    for path in ("kettle", "kettle@1", "kettle.yaml", "kettle/versions"):
        assert stranger.get(f"{TEMPLATES}/{path}").status_code == 404
    assert stranger.get(TEMPLATES).json()["data"] == []
    order = stranger.post(JOBS, json={"template": "kettle", "vars": {"颜色": "红色"}})
    assert (order.status_code, codes(order)) == (422, {"/template": "unknown_template"})


def test_saving_needs_the_right_to_write(app, make_key, tenant):
    from fastapi.testclient import TestClient

    reader = TestClient(app, headers={"Authorization": f"Bearer {make_key(tenant, Scope.JOBS_READ)}"})
    assert save(reader).status_code == 403
    assert reader.get(TEMPLATES, params={"market": 1}).status_code == 200
    assert TestClient(app).get(TEMPLATES).status_code == 401
    assert TestClient(app).get(f"{TEMPLATES}/white-bg/sample.jpg").status_code == 401


@pytest.mark.parametrize("name", ["kettle@0", "kettle@00", "kettle@-1", "Kettle", "kettle@1@2", "..", "水壶", "a" * 70])
def test_what_is_no_name_of_a_template(client, name):
    answer = client.get(f"{TEMPLATES}/{name}")
    assert answer.status_code in {404, 422}
    assert client.post(JOBS, json={"template": name, "vars": {}}).status_code == 422


BAD = {
    "nothing": (b"", 422, "not_an_object"),
    "aliases": (b"a: &a [x]\nb: *a", 422, "malformed_yaml"),
    "a bomb": (b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]", 422, "malformed_yaml"),
    "a tag": (b"!!python/object/apply:os.system [exit]", 422, "malformed_yaml"),
    "a key twice": (b"name: a\nname: b", 422, "malformed_yaml"),
    "GBK": ("name: 水壶".encode("gbk"), 422, "malformed_yaml"),
    "binary": (bytes(range(256)), 422, "malformed_yaml"),
    "NUL": (b'{"name": "a", "title": "\\u0000", "prompt": "b"}', 422, "invalid_value"),
    "half a pair": (b'{"name": "a", "title": "\\ud83d", "prompt": "b"}', 422, "invalid_value"),
    "braces": (b"name: a\ntitle: b\nprompt: '{a.__class__}'", 422, "template_hole"),
    "65 kB": (b"prompt: " + b"x" * 65_600, 413, "body_too_large"),
    "10 MB": (b"prompt: " + b"x" * 10_000_000, 413, "body_too_large"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_said_so(client, kind):
    content, status, code = BAD[kind]
    for dry_run in (0, 1):
        if kind == "braces" and dry_run:
            continue  # a template, and the linter's
        answer = save(client, content, dry_run=dry_run)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert client.get(TEMPLATES).json()["data"] == []


def test_an_order_by_a_template(client):
    save(client)
    sent = {"template": "kettle", "vars": {"颜色": "红色", "where": "木桌上 {颜色}"}, "model": "default", "size": "64x64"}
    answer = client.post(JOBS, json=sent)
    assert answer.status_code == 202
    job = answer.json()
    effective = job["effective"]
    assert (effective["prompt"], effective["seed"]) == ("红色水壶，木桌上 {颜色}", 88415)
    assert (effective["width"], effective["height"], effective["checkpoint"]) == (64, 64, "default")
    assert job["requested"]["template"] == "kettle"
    assert job["requested"]["vars"] == sent["vars"]
    assert "prompt" not in job["requested"]
    assert {warning["pointer"] for warning in job["warnings"] if warning["code"] == "template_field_overridden"} == {"/width", "/height"}


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({"vars": {"颜色": "绿色"}}, {"/vars/颜色": "variable_not_allowed"}),
        ({"vars": {}}, {"/vars/颜色": "variable_missing"}),
        ({"vars": {"颜色": "红色", "form": "round"}}, {"/vars/form": "unknown_variable"}),
        ({"template": "kettle@2", "vars": {}}, {"/template": "unknown_template"}),
        ({"vars": {"颜色": "红色"}, "loras": [{"name": "gone"}]}, {"/loras/0/name": "unknown_lora"}),
        ({"vars": {"颜色": "红色"}, "prompt": "both"}, {"": "invalid_value"}),
    ],
)
def test_an_order_that_the_template_does_not_take(client, order, expected):
    save(client)
    answer = client.post(JOBS, json={"template": "kettle", "model": "default", **order})
    assert (answer.status_code, codes(answer)) == (422, expected)


def test_the_market_is_listed_with_samples(client):
    page = client.get(TEMPLATES, params={"market": 1}).json()
    assert len(page["data"]) == len(load_market()) >= 12
    assert page["next_cursor"] is None
    for row in page["data"]:
        assert client.get(row["links"]["self"]).json()["body"] == row["body"]
        assert read_template(client.get(row["links"]["yaml"]).content).sha256 == row["sha256"]
    festival = client.get(TEMPLATES, params={"market": 1, "category": "festival"}).json()["data"]
    assert 0 < len(festival) < len(page["data"])
    assert client.get(f"{TEMPLATES}/nothing", params={"market": 1}).status_code == 404
    assert client.get(TEMPLATES, params={"marcet": 1}).status_code == 422


def test_a_sample_is_a_picture(client):
    answer = client.get(f"{TEMPLATES}/white-bg/sample.jpg")
    assert (answer.status_code, answer.headers["content-type"], answer.content[:2]) == (200, "image/jpeg", b"\xff\xd8")
    assert client.get(f"{TEMPLATES}/nothing/sample.jpg").status_code == 404


def test_a_market_template_is_ordered_by_name_and_is_the_tenants_own_then(client):
    offered = client.get(f"{TEMPLATES}/white-bg").json()
    assert (offered["market"], offered["version"], offered["reference"]) == (True, None, "white-bg")
    assert offered == client.get(f"{TEMPLATES}/white-bg", params={"market": 1}).json()
    assert read_template(client.get(f"{TEMPLATES}/white-bg.yaml").content).sha256 == offered["sha256"]
    assert client.get(f"{TEMPLATES}/white-bg@2").status_code == 404
    assert client.get(TEMPLATES).json()["data"] == [], "looking saves nothing"
    job = client.post(JOBS, json={"template": "white-bg@1", "vars": {"product": "保温杯"}, "model": "default"}).json()
    assert job["effective"]["prompt"] == "保温杯，白底图，电商主图"
    own = client.get(f"{TEMPLATES}/white-bg").json()
    assert (own["market"], own["version"]) == (False, 1)


def test_loras_reach_the_frozen_spec(client, db):
    register_lora(db, name="sketch", sha256="a" * 64, size=1, actor=Actor("operator", "tests"))
    order = {"template": "sketch-style", "vars": {"product": "椅子", "colour": "绿色"}, "model": "default", "sku": "CHR-1"}
    job = client.post(JOBS, json=order).json()
    assert job["effective"]["loras"] == [{"name": "sketch", "sha256": "a" * 64, "scale": 1.0}]


def test_the_document_of_the_api_names_the_fields(client):
    schema = client.get("/api/v1/openapi.json").json()["paths"][TEMPLATES]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert {"name", "prompt", "variables", "seed"} <= set(schema["properties"])
    assert json.dumps(schema)
