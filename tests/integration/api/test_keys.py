"""Who may do what."""

from __future__ import annotations

from datetime import timedelta

import pytest

from factory.domain.api_key import Scope
from factory.jobs.keys import revoke_key
from tests.integration.api.conftest import TESTER

JOBS = "/api/v1/jobs"


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("sent", ["", "Bearer", "Bearer nonsense", "Basic b3BzOm9wcw==", "Bearer fk_\u00e9".encode("latin-1")])
def test_no_key_or_none_of_ours(client, sent):
    answer = client.get(JOBS, headers={"Authorization": sent})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_an_expired_key(client, make_key):
    assert client.get(JOBS, headers=bearer(make_key("k", life=timedelta(seconds=-1)))).status_code == 401


def test_a_revoked_key_ends_within_seconds(client, make_key, db, app):
    secret = make_key("k")
    assert client.get(JOBS, headers=bearer(secret)).status_code == 200
    revoke_key(db, prefix=secret[:10], actor=TESTER)
    app.state.doorkeeper._known.clear()  # what three seconds do
    assert client.get(JOBS, headers=bearer(secret)).status_code == 401


def test_scopes(client, make_key):
    writer, reader = bearer(make_key("k", Scope.JOBS_WRITE)), bearer(make_key("k", Scope.JOBS_READ))
    assert client.post(JOBS, json={"prompt": "a"}, headers=writer).status_code == 202
    assert client.get(JOBS, headers=reader).status_code == 200
    for answer in (
        client.get(JOBS, headers=writer),
        client.post(JOBS, json={"prompt": "a"}, headers=reader),
        client.get("/api/v1/audit/records", headers=reader),
        client.post("/api/v1/dead-letters/replay", headers=writer),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert "lacks the scope" in answer.json()["detail"]
