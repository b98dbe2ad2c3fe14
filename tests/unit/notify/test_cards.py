"""feishu, wecom, dingtalk: cards that a local server of their format takes, signed its way; success is what the body says."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from PIL import Image

from factory.errors import BadPicture, Invalid, Transient
from factory.notify import open_notifier
from factory.notify.card import card_of
from factory.notify.courier import Courier
from factory.notify.feishu_pictures import FeishuPictures
from factory.notify.message import Message
from factory.postprocess.thumbnail import thumbnail
from tests.receiver import APP_ID, APP_SECRET, DINGTALK_SECRET, FEISHU_SECRET, HERE, WECOM_KEY, running_receiver

EVENT: dict[str, Any] = {
    "type": "batch.ended",
    "timestamp": "2026-03-01T12:00:00Z",
    "data": {
        "object": "batch",
        "id": "0192f0c1-0000-7000-8000-000000000002",
        "external_id": "spring-2026",
        "status": "partially_completed",
        "counts": {"succeeded": 1297, "failed": 3, "queued": 0},
        "links": {"self": "https://factory.example.com/api/v1/batches/0192f0c1"},
    },
}
WECOM = f"/wecom?key={WECOM_KEY}"
SECRETS = {"feishu": [FEISHU_SECRET], "wecom": [], "dingtalk": [DINGTALK_SECRET]}


@pytest.fixture(scope="module")
def receiver():
    with running_receiver() as server:
        yield server


def message(payload=EVENT, **picture):
    return Message("0192f0c1-0000-7000-8000-000000000001", payload, card_of(payload, **picture))


def tell(receiver, kind, path, told=None, *, secrets=None, at=None):
    notifier = open_notifier(kind)
    secrets = SECRETS[kind] if secrets is None else secrets
    request = notifier.request(told or message(), url=receiver.url + path, secrets=secrets, at=at or datetime.now(UTC))
    return notifier.read(Courier(HERE).post(request.url, content=request.content, headers=request.headers))


@pytest.mark.parametrize(("kind", "path"), [("feishu", "/feishu"), ("wecom", WECOM), ("dingtalk", "/dingtalk?access_token=abc")])
@pytest.mark.parametrize("picture", [{}, {"picture_url": "https://cdn.example.com/p.png", "picture_key": "img_v3_key"}])
def test_the_robot_takes_the_card(receiver, kind, path, picture):
    outcome = tell(receiver, kind, path, message(**picture))
    assert (outcome.delivered, outcome.code, outcome.detail) == (True, "delivered", "")
    body = receiver.received[-1].body.decode()
    for text in ("批次结束", "Batch ended", "1,297", "spring-2026", EVENT["data"]["links"]["self"]):
        assert text in body
    assert ("img_v3_key" in body if kind == "feishu" else "https://cdn.example.com/p.png" in body) == bool(picture)


@pytest.mark.parametrize(
    ("kind", "path", "gone", "pause"),
    [
        ("feishu", "/feishu/unknown", True, None),
        ("feishu", "/feishu/busy", False, 60.0),
        ("wecom", "/wecom?key=other", True, None),
        ("wecom", "/wecom/busy", False, 60.0),
        ("dingtalk", "/dingtalk/unknown", True, None),
        ("dingtalk", "/dingtalk/busy", False, 60.0),
        ("feishu", "/empty", False, None),
        ("wecom", "/ok", False, None),
    ],
)
def test_http_200_with_a_refusal_inside_is_a_refusal(receiver, kind, path, gone, pause):
    outcome = tell(receiver, kind, path)
    assert (outcome.delivered, outcome.code, outcome.gone, outcome.retry_after) == (False, "robot_refused", gone, pause)


def test_an_older_robot_says_it_otherwise(receiver):
    assert tell(receiver, "feishu", "/feishu/old").delivered


@pytest.mark.parametrize(("kind", "path", "code"), [("feishu", "/feishu", "19021"), ("dingtalk", "/dingtalk", "310000")])
def test_a_wrong_secret_is_the_robots_refusal(receiver, kind, path, code):
    for outcome in (tell(receiver, kind, path, secrets=["something else"]), tell(receiver, kind, path, secrets=[])):
        assert not outcome.delivered
        assert code in outcome.detail


def test_dingtalk_refuses_an_old_signature(receiver):
    assert not tell(receiver, "dingtalk", "/dingtalk", at=datetime.now(UTC) - timedelta(hours=2)).delivered


def test_dingtalk_gets_the_same_id_again_so_that_it_shows_a_repeat_once(receiver):
    for _ in range(2):
        tell(receiver, "dingtalk", "/dingtalk")
    assert {one.json["msgUuid"] for one in receiver.at("/dingtalk")[-2:]} == {message().id}


EVIL = "](https://evil.example) <at id=all></at> @所有人 `x` **b**\n# 标题"


def test_what_a_customer_wrote_is_never_markup():
    payload = {**EVENT, "data": {**EVENT["data"], "external_id": EVIL}}
    told = message(payload)
    now = datetime.now(UTC)
    feishu = json.loads(open_notifier("feishu").request(told, url="https://x.example/", secrets=[], at=now).content)
    tags = {field["text"]["tag"] for element in feishu["card"]["elements"] for field in element.get("fields", [])}
    assert tags == {"plain_text"}
    text = json.loads(open_notifier("dingtalk").request(told, url="https://x.example/", secrets=[], at=now).content)["actionCard"]["text"]
    value = next(line for line in text.split("\n\n") if "编号" in line).split(": ", 1)[1]
    assert not set("[]()<>`*@\n") & set(value)


def test_every_event_has_a_title_and_long_values_are_cut():
    for name in ("ping", "job.succeeded", "job.dead_lettered"):
        card = card_of({"type": name, "data": {"sku": "S" * 500, "status": "succeeded"}})
        assert card.title
        assert max(len(row.value) for row in card.rows) <= 60


def test_rows_refused_when_ordering_are_on_the_card():
    card = card_of({**EVENT, "data": {**EVENT["data"], "rows_refused": 2}})
    assert [row.value for row in card.rows if row.english == "Rows refused"] == ["2"]
    none = card_of({**EVENT, "data": {**EVENT["data"], "rows_refused": 0}})
    assert none.rows == card_of(EVENT).rows


def test_robots_have_secrets_of_their_own_kind():
    open_notifier("feishu").check_secret(FEISHU_SECRET)
    open_notifier("dingtalk").check_secret(DINGTALK_SECRET)
    for kind, secret in (
        ("wecom", "anything-long"),
        ("feishu", "short"),
        ("dingtalk", "with a space in it"),
        ("feishu", "密钥密钥密钥密钥"),
    ):
        with pytest.raises(Invalid) as told:
            open_notifier(kind).check_secret(secret)
        assert told.value.code == "invalid_secret"


def picture(mode="RGB", size=(1024, 640), form="PNG"):
    out = io.BytesIO()
    Image.effect_noise(size, 64).convert(mode).save(out, form)
    return out.getvalue()


def test_a_thumbnail_becomes_a_key(receiver):
    pictures = FeishuPictures(Courier(HERE), APP_ID, APP_SECRET, home=receiver.url)
    assert pictures.upload(thumbnail(picture())) == "img_v3_key"
    with pytest.raises(Transient, match="10003"):
        FeishuPictures(Courier(HERE), APP_ID, "wrong", home=receiver.url).upload(b"\xff\xd8\xff")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
def test_a_thumbnail_is_a_small_jpeg(mode):
    small = thumbnail(picture(mode))
    with Image.open(io.BytesIO(small)) as opened:
        assert (opened.format, opened.mode, opened.size) == ("JPEG", "RGB", (256, 160))
        assert "exif" not in opened.info
    assert len(small) < 40_000


def test_what_is_transparent_is_white_and_small_pictures_stay_small():
    out = io.BytesIO()
    Image.new("RGBA", (40, 30), (255, 0, 0, 0)).save(out, "PNG")
    with Image.open(io.BytesIO(thumbnail(out.getvalue()))) as opened:
        assert opened.size == (40, 30)
        pixel = opened.getpixel((20, 15))
    assert isinstance(pixel, tuple)
    assert min(pixel) > 250


@pytest.mark.parametrize("content", [b"", b"no picture", picture()[:200]])
def test_what_is_no_picture_is_said_so(content):
    with pytest.raises(BadPicture):
        thumbnail(content)
