"""Signals, media types, spans of time, and how one check of the doctor ends."""

import os
import signal
import socket

import pytest

from factory.cli.checkup import machine, secrets
from factory.cli.checkup.finding import Sick, Unasked, examine
from factory.cli.exit_codes import Failed, Usage
from factory.cli.order_file import media_type, named_pairs, opened
from factory.cli.progress import _span, troubles
from factory.cli.signals import ToldToStop, told_to_stop
from factory.cli.watch import report
from factory.errors import DatabaseDown
from factory.settings import Settings


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_once_and_handlers_come_back(number):
    before = signal.getsignal(number)
    with told_to_stop():
        with pytest.raises(ToldToStop) as told:
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)  # while stopping, a second one changes nothing
    assert told.value.exit_code == 128 + number
    assert signal.getsignal(number) == before


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("a.csv", b"", "text/csv"),
        ("a.JSONL", b"", "application/x-ndjson"),
        ("-", b"PK\x03\x04", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("-", b'\n [{"prompt": 1}]', "application/json"),
        ("-", b'{"prompt": 1}\n', "application/x-ndjson"),
        ("-", b"sku,prompt\n", "text/csv"),
    ],
)
def test_what_a_file_is_sent_as(file, content, expected):
    assert media_type(file, content) == expected


def test_an_unknown_ending_is_wrong_usage():
    with pytest.raises(Usage, match=r"\.csv"):
        media_type("rows.ods", b"")


def test_spans_and_troubles_read_well():
    assert [_span(seconds) for seconds in (0.4, 59, 61, 3725)] == ["0 s", "59 s", "1 min 1 s", "1 h 2 min"]
    assert troubles({"counts": {"succeeded": 3, "failed": 2, "rejected": 1, "expired": 0}}) == "2 failed, 1 rejected"


def ended(status, refused=0, **counts):
    return {"id": "b1", "project": "spring", "status": status, "rows_refused": refused, "counts": {"succeeded": 1, **counts}}


@pytest.mark.parametrize(
    ("batch", "owed"),
    [
        (ended("partially_completed", failed=1), "1 failed, see `factory jobs list --batch b1 --status failed`"),
        (ended("partially_completed", refused=1), "1 row refused, see `factory batches manifest b1`"),
        (
            ended("partially_completed", refused=2, failed=1),
            "1 failed, see `factory jobs list --batch b1 --status failed`; 2 rows refused, see `factory batches manifest b1`",
        ),
        (ended("paused"), "batch b1 is paused"),
    ],
)
def test_a_report_names_what_is_owed_and_where_it_is_listed(batch, owed):
    with pytest.raises(Failed) as told:
        report([ended("completed"), batch], as_json=True)
    assert str(told.value) == f"not every picture was delivered: {owed}"
    report([ended("completed")], as_json=False)


def raising(fault):
    def check():
        raise fault

    return check


@pytest.mark.parametrize(
    ("check", "status", "remedy"),
    [
        (lambda: "fine", "ok", ""),
        (raising(Sick("broken", "mend it")), "failed", "mend it"),
        (raising(Sick("odd", "look", serious=False)), "warning", "look"),
        (raising(Unasked("not here")), "skipped", ""),
        (raising(DatabaseDown("no answer")), "failed", "the usual"),
        (raising(ZeroDivisionError("unforeseen\nin two lines")), "failed", "the usual"),
    ],
)
def test_every_way_a_check_can_end(check, status, remedy):
    found = examine("x", check, remedy="the usual")
    assert (found.status, found.remedy) == (status, remedy)
    assert "\n" not in found.detail


def settings(**changes):
    usual = {
        "database_url": "postgresql+psycopg://app:a-long-password@127.0.0.1/factory",
        "redis_url": "redis://:a-long-password@127.0.0.1/0",
        "storage_url": "file:///tmp/x",
        "link_secret": "x" * 32,
    }
    return Settings(**{**usual, **changes})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"redis_url": "redis://127.0.0.1/0"}, "FACTORY_REDIS_URL"),
        ({"database_url": "postgresql+psycopg://app:factory@127.0.0.1/factory"}, "FACTORY_DATABASE_URL"),
        ({"storage_url": "s3://bucket", "s3_secret_key": "minioadmin"}, "FACTORY_S3_SECRET_KEY"),
        ({"flower_password": "ops"}, "FACTORY_FLOWER_PASSWORD"),
    ],
)
def test_secrets_that_everybody_knows_are_named_but_not_shown(changes, named):
    with pytest.raises(Sick, match=named) as told:
        secrets.not_worn(settings(**changes))
    assert "minioadmin" not in str(told.value)
    assert secrets.not_worn(settings()).startswith("3 secrets")


def test_a_short_link_secret_is_found():
    with pytest.raises(Sick, match="31"):
        secrets.link_secret(settings(link_secret="x" * 31))


def test_a_port_that_another_program_holds_is_found():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(Sick, match="taken by another program"):
            machine._port("API", other.getsockname()[1], f"http://127.0.0.1:{other.getsockname()[1]}/healthz", {200})


def test_a_data_folder_that_cannot_be_written_is_found(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Sick):
        machine.data_folder(settings(data_dir=tmp_path / "file" / "below"))


def test_a_file_is_read_anew_for_every_try(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_bytes(b"prompt\n" + b"a\n" * 200_000)
    with opened(str(file)) as body:
        assert body.start().startswith(b"prompt\na")
        assert [b"".join(body) == file.read_bytes() for _ in range(2)] == [True, True]
        assert os.fstat(body.fileno()).st_size == file.stat().st_size
        assert not hasattr(body, "read")  # or the client would go on where the last try ended


def test_what_cannot_be_read_is_wrong_usage(tmp_path):
    with pytest.raises(Usage, match="cannot read"), opened(str(tmp_path / "none.csv")):
        pass


def test_pairs_have_a_name_and_a_value():
    assert named_pairs("vars", ["product=杯=子", " a = "]) == {"vars.product": "杯=子", "vars.a": " "}
    for wrong in ("product", "=x"):
        with pytest.raises(Usage, match="NAME=VALUE"):
            named_pairs("vars", [wrong])
