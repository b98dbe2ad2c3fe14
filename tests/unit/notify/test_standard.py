"""standard: what we sign, a third party's library verifies."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from factory.errors import Invalid
from factory.notify import NOTIFIERS, open_notifier
from factory.notify.card import card_of
from factory.notify.courier import Answer
from factory.notify.message import Message
from factory.notify.standard import key_of, new_secret, sign

PAYLOAD = {"type": "job.succeeded", "timestamp": "2026-03-01T12:00:00Z", "data": {"sku": "保温杯 “红”"}}
MESSAGE = Message("0192f0c1-0000-7000-8000-000000000001", PAYLOAD, card_of(PAYLOAD))
# The example of the specification's own text.
EXAMPLE = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')


def request(*secrets, at=None):
    return open_notifier("standard").request(MESSAGE, url="https://x.example/", secrets=secrets, at=at or datetime.now(UTC))


def test_the_example_of_the_specification():
    secret, message_id, timestamp, content = EXAMPLE
    assert sign(key_of(secret), message_id, timestamp, content) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_third_party_verifies_what_we_sign():
    secret = new_secret()
    sent = request(secret)
    assert Webhook(secret).verify(sent.content, sent.headers) == PAYLOAD
    assert sent.headers["webhook-id"] == MESSAGE.id
    for name, value in (("webhook-id", "other"), ("webhook-timestamp", str(int(datetime.now(UTC).timestamp()) + 1))):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(sent.content, sent.headers | {name: value})
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(sent.content.replace(b"succeeded", b"failed"), sent.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(sent.content, sent.headers)


def test_old_and_new_secret_both_verify_while_rotating():
    old, new = new_secret(), new_secret()
    sent = request(new, old)
    assert len(sent.headers["webhook-signature"].split(" ")) == 2
    for secret in (old, new):
        assert Webhook(secret).verify(sent.content, sent.headers) == PAYLOAD


def test_an_old_message_does_not_verify():
    secret = new_secret()
    sent = request(secret, at=datetime.now(UTC) - timedelta(minutes=6))
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(secret).verify(sent.content, sent.headers)


def test_chinese_is_sent_as_it_is_written():
    assert "保温杯 “红”" in request(new_secret()).content.decode()


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_???", "whsec_" + "QUFB" * 30]
)
def test_a_weak_secret_is_refused(secret):
    with pytest.raises(Invalid) as told:
        open_notifier("standard").check_secret(secret)
    assert told.value.code == "invalid_secret"
    assert secret not in str(told.value) or len(secret) < 8


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, {}, (True, False, None)),
        (204, {}, (True, False, None)),
        (301, {}, (False, False, None)),
        (400, {}, (False, False, None)),
        (410, {}, (False, True, None)),
        (429, {"retry-after": "7"}, (False, False, 7.0)),
        (503, {"retry-after": "Thu, 01 Jan 2026 00:00:00 GMT"}, (False, False, 0.0)),
        (503, {"retry-after": "soon"}, (False, False, None)),
        (500, {"retry-after": "7"}, (False, False, None)),
    ],
)
def test_answers_are_understood(status, headers, expected):
    outcome = open_notifier("standard").read(Answer(status, headers, b"\x00\x1b[31mno"))
    assert (outcome.delivered, outcome.gone, outcome.retry_after) == expected
    assert outcome.detail.isprintable()


def test_every_notifier_opens_and_says_what_it_wants():
    for kind in NOTIFIERS:
        assert open_notifier(kind).wants
    with pytest.raises(Invalid, match="standard, feishu, wecom, dingtalk"):
        open_notifier("pager")


def test_the_body_is_compact_json():
    assert json.loads(request(new_secret()).content) == PAYLOAD
    assert b": " not in request(new_secret()).content
