"""What every storage promises: a folder, and S3 against two real servers (moto for semantics, rclone for signatures and expiry)."""

import base64
import hashlib
import os
import time
import urllib.error
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

from factory.embedded.s3_servers import S3Server
from factory.errors import Conflict, Forbidden, Invalid, NotFound, Permanent, StorageDown
from factory.storage import Storage, content_disposition, file_name, object_key, open_storage, verify_link
from factory.storage.s3 import S3Storage
from tests.contracts.damaging_proxy import damaging_proxy

KINDS = ["folder", "moto", "rclone"]
LIFE = 3  # seconds of a link; signatures count whole ones
SECRET = "a link secret of at least 32 characters"
DAY = date(2026, 11, 11)
NAME = file_name("双11·大促（女装）", DAY, 7)
KEY = object_key("acme", "双11·大促（女装）", DAY, 7, 1)
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
HOSTILE = [
    "",
    "/etc/passwd",
    "a/../b",
    "../a",
    "a//b",
    "a/",
    "./a",
    "a/.hidden",
    "a\\..\\b",
    "a\0b",
    "a\nb",
    "a/\u202eb",
    "a/" + "b" * 256,
    "c/" * 600 + "d",
    "\udcff",
]


def put(storage: Storage, key: str, content: bytes, sha256: str = "", filename: str = NAME) -> None:
    storage.put(key, content, media_type="image/png", sha256=sha256 or hashlib.sha256(content).hexdigest(), filename=filename)


def fetch(storage: Storage, link: str) -> tuple[bytes, str]:
    """Follow `link` as a client does: content and Content-Disposition. The folder's links are the API's to serve: we do what it does."""
    if not link.startswith("https://factory.example"):
        with urllib.request.urlopen(link, timeout=10) as answer:
            return answer.read(), answer.headers["Content-Disposition"]
    parts, query = urlsplit(link), {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    key = unquote(parts.path).removeprefix("/files/")
    verify_link(SECRET, key, **query)
    return storage.get(key), content_disposition(query["name"])


def open_s3(server: S3Server, more: str = "", *, secret: str = "", bucket: str = "") -> Storage:
    """With time enough for a busy machine, unless `more` says `&timeout=…`: of an option given twice the last one counts."""
    url = server.storage_url(bucket or f"pictures-{uuid.uuid4().hex[:12]}") + "&create=1&timeout=60"
    open_storage(url, s3_access_key=server.access_key, s3_secret_key=server.secret_key).check()
    return open_storage(url + more, s3_access_key=server.access_key, s3_secret_key=secret or server.secret_key)


@pytest.fixture(params=["moto", "rclone"])
def server(request: pytest.FixtureRequest) -> S3Server:
    running: S3Server = request.getfixturevalue(request.param)
    return running


def storage_of(kind: str, folder: Path, request: pytest.FixtureRequest) -> Storage:
    if kind == "folder":
        return open_storage(f"file://{folder}/pictures", public_url="https://factory.example/", link_secret=SECRET)
    return open_s3(request.getfixturevalue(kind))


@pytest.fixture(params=KINDS)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return storage_of(request.param, tmp_path, request)


@pytest.fixture(scope="module", params=KINDS)
def untouched(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Storage:
    """One for all that is refused before a server is asked."""
    return storage_of(request.param, tmp_path_factory.mktemp("untouched"), request)


def test_what_is_put_comes_back(storage):
    before = datetime.now(UTC) - timedelta(seconds=2)
    put(storage, KEY, PICTURE)
    assert storage.get(KEY) == PICTURE
    known = storage.stat(KEY)
    assert (known.key, known.bytes) == (KEY, len(PICTURE))
    assert known.sha256 in {hashlib.sha256(PICTURE).hexdigest(), None}
    assert before < known.modified_at < datetime.now(UTC) + timedelta(seconds=2)
    storage.check()


def test_an_object_is_never_replaced(storage):
    put(storage, KEY, PICTURE)
    put(storage, KEY, PICTURE)
    with pytest.raises(Conflict, match="never replaced"):
        put(storage, KEY, PICTURE[::-1])
    with pytest.raises(Conflict, match="never replaced"):
        put(storage, KEY, PICTURE + b"more")
    assert storage.get(KEY) == PICTURE


def test_what_is_not_there_is_not_found(storage):
    with pytest.raises(NotFound, match="000007"):
        storage.get(KEY)
    assert storage.stat(KEY) is None
    storage.delete(KEY)
    assert list(storage.list()) == []


def test_list_by_prefix_and_delete(storage):
    keys = {object_key(tenant, project, DAY, seq, 1) for tenant in ("acme", "acme-2") for project in ("双11", "双12") for seq in (1, 2, 3)}
    for key in keys:
        put(storage, key, key.encode())
    assert {found.key: found.bytes for found in storage.list()} == {key: len(key.encode()) for key in keys}
    assert {found.key for found in storage.list("acme/")} == {key for key in keys if key.startswith("acme/")}
    assert {found.key for found in storage.list("acme/双12/双12_2026")} == {key for key in keys if key.startswith("acme/双12")}
    assert list(storage.list("nobody/")) == []
    for key in keys:
        storage.delete(key)
        storage.delete(key)
    assert list(storage.list()) == []


def test_content_that_is_not_what_was_hashed_is_refused(storage):
    with pytest.raises(Permanent, match="sha256"):
        put(storage, KEY, PICTURE, sha256=hashlib.sha256(b"another picture").hexdigest())
    assert storage.stat(KEY) is None


@pytest.mark.parametrize("key", HOSTILE)
def test_hostile_keys_are_refused_by_every_method(untouched, key):
    for use in (lambda: put(untouched, key, b"x"), lambda: untouched.get(key), lambda: untouched.stat(key), lambda: untouched.delete(key)):
        with pytest.raises(Invalid, match="key"):
            use()
    with pytest.raises(Invalid, match="key"):
        untouched.url(key, seconds=60, filename=NAME)
    if key not in {"", "a/"}:
        with pytest.raises(Invalid, match="key"):
            list(untouched.list(key))


@pytest.mark.parametrize("filename", ["", "a/b.png", "..", "a\r\nSet-Cookie: x", 'a\0"', "." * 300])
def test_hostile_file_names_are_refused(untouched, filename):
    with pytest.raises(Invalid, match="filename"):
        put(untouched, KEY, PICTURE, filename=filename)
    with pytest.raises(Invalid, match="filename"):
        untouched.url(KEY, seconds=60, filename=filename)


@pytest.mark.parametrize("seconds", [0, -1, 604_801])
def test_a_link_has_a_life_of_at_most_a_week(untouched, seconds):
    with pytest.raises(Invalid, match="604800"):
        untouched.url(KEY, seconds=seconds, filename=NAME)


def test_a_link_gives_the_file_under_its_chinese_name(storage):
    put(storage, KEY, PICTURE)
    content, disposition = fetch(storage, storage.url(KEY, seconds=60, filename=NAME))
    assert content == PICTURE
    assert disposition.startswith('attachment; filename="')
    assert disposition.isascii()
    assert unquote(disposition.split("filename*=UTF-8''")[1]) == NAME


@pytest.mark.parametrize("kind", ["folder", "rclone"])
def test_a_changed_link_is_refused(kind, tmp_path, request):
    """Not moto: it checks no signature."""
    folder = f"file://{tmp_path}"
    storage = (
        open_storage(folder, public_url="https://factory.example", link_secret=SECRET)
        if kind == "folder"
        else open_s3(request.getfixturevalue(kind))
    )
    other = object_key("rival", "x", DAY, 1, 1)
    put(storage, KEY, PICTURE)
    put(storage, other, b"secret")
    link = storage.url(KEY, seconds=60, filename=NAME)
    path = urlsplit(link).path
    digit = link.index("ignature=") + len("ignature=")
    changes = {
        "another file": link.replace(path, path.replace(quote(KEY), other)),
        "another signature": link[:digit] + ("1" if link[digit] == "0" else "0") + link[digit + 1 :],
        "a longer life": link.replace("xpires=", "xpires=9"),
        "another name": link.replace(quote(quote(NAME), safe=""), "x").replace(quote(NAME, safe=""), "x"),
    }
    for change, changed in changes.items():
        assert changed != link, change
        with pytest.raises((Forbidden, urllib.error.HTTPError)) as refused:
            fetch(storage, changed)
        assert getattr(refused.value, "code", None) in {"link_invalid", 400, 403}, change


def test_a_folder_link_ends(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=1_800_000_000.9)
    monkeypatch.setattr("factory.storage.links.time", SimpleNamespace(time=lambda: clock.now))
    storage = open_storage(f"file://{tmp_path}", public_url="https://factory.example", link_secret=SECRET)
    put(storage, KEY, PICTURE)
    link = storage.url(KEY, seconds=1, filename=NAME)
    assert fetch(storage, link)[0] == PICTURE
    clock.now += 1
    with pytest.raises(Forbidden) as ended:
        fetch(storage, link)
    assert ended.value.code == "link_expired"
    later = link.replace("expires=", "expires=9")
    with pytest.raises(Forbidden) as changed:
        fetch(storage, later)
    assert changed.value.code == "link_invalid"


def test_an_s3_link_ends(rclone):
    storage = open_s3(rclone)
    put(storage, KEY, PICTURE)
    link = storage.url(KEY, seconds=LIFE, filename=NAME)
    assert fetch(storage, link)[0] == PICTURE
    time.sleep(LIFE + 1.1)
    with pytest.raises(urllib.error.HTTPError) as ended:
        fetch(storage, link)
    assert ended.value.code in {400, 403}


def test_a_link_can_carry_another_address(moto):
    storage = open_s3(moto, "&public_endpoint=https://pictures.example")
    assert storage.url(KEY, seconds=60, filename=NAME).startswith("https://pictures.example/pictures-")


def test_thirty_megabytes(storage):
    content = os.urandom(30 * 1024 * 1024)
    put(storage, KEY, content)
    assert storage.get(KEY) == content


@pytest.mark.parametrize("kind", ["folder", "moto"])
def test_of_many_writers_one_wins(kind, tmp_path, request):
    """Not rclone: it keeps no If-None-Match, and one key has one writer by design (a key per attempt)."""
    storage = open_storage(f"file://{tmp_path}") if kind == "folder" else open_s3(request.getfixturevalue(kind))
    contents = [bytes([number]) * 100_000 for number in range(12)]

    def contest(seq: int) -> int:
        """How many won."""
        key = object_key("acme", "双11", DAY, seq, 1)

        def attempt(content: bytes) -> bool:
            try:
                put(storage, key, content)
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(12) as pool:
            won = list(pool.map(attempt, contents))
        assert storage.get(key) in {content for content, has_won in zip(contents, won, strict=True) if has_won}
        return won.count(True)

    # moto looks and then writes, so that two may get in at once; of writers that ask for no condition nearly all would, each time.
    contests = range(1, 2 if kind == "folder" else 6)
    assert any(contest(seq) == 1 for seq in contests)


def test_what_the_wire_damages_is_noticed_and_removed(server):
    bucket = f"damaged-{uuid.uuid4().hex[:12]}"
    plain = open_s3(server, bucket=bucket)
    picture = b"before NEEDLE after" * 100
    with damaging_proxy(server.port, b"NEEDLE") as (port, sent):
        url = f"s3://{bucket}?endpoint=http://127.0.0.1:{port}&timeout=60"
        with pytest.raises(StorageDown, match="other bytes"):
            put(open_storage(url, s3_access_key=server.access_key, s3_secret_key=server.secret_key), KEY, picture)
    assert plain.stat(KEY) is None
    digest = hashlib.sha256(picture).digest()
    head = b"".join(sent).lower()
    assert b"x-amz-content-sha256: " + digest.hex().encode() in head
    assert b"x-amz-checksum-sha256: " + base64.b64encode(digest).lower() in head
    put(plain, KEY, picture)


def test_wrong_credentials_are_named_and_lose_no_picture(rclone):
    storage = open_s3(rclone, secret="wrong")
    with pytest.raises(Permanent, match="FACTORY_S3_SECRET_KEY"):
        storage.check()
    with pytest.raises(StorageDown, match="FACTORY_S3_SECRET_KEY"):
        put(storage, KEY, PICTURE)


def test_a_missing_bucket_is_named_or_made(server):
    access = {"s3_access_key": server.access_key, "s3_secret_key": server.secret_key}
    url = server.storage_url(f"missing-{uuid.uuid4().hex[:8]}") + "&timeout=60"
    with pytest.raises(Permanent, match="create=1"):
        open_storage(url, **access).check()
    with pytest.raises(StorageDown, match="missing-"):
        put(open_storage(url, **access), KEY, PICTURE)
    storage = open_storage(f"{url}&create=1", **access)
    storage.check()
    put(storage, KEY, PICTURE)
    storage.check()


def assert_down(storage: Storage, seconds: float) -> None:
    for use in (
        lambda: put(storage, KEY, PICTURE),
        lambda: storage.get(KEY),
        lambda: storage.stat(KEY),
        storage.check,
        lambda: list(storage.list()),
    ):
        began = time.monotonic()
        with pytest.raises(StorageDown):
            use()
        assert time.monotonic() - began < seconds


def test_a_dead_server_is_reported_at_once_and_forgiven(server):
    storage = open_s3(server, "&timeout=10")
    server.kill()
    try:
        assert_down(storage, 4)
    finally:
        server.start()
    storage.check()  # moto has lost all, the bucket too
    put(storage, KEY, PICTURE)
    assert storage.get(KEY) == PICTURE


def test_a_frozen_server_is_given_up_and_forgiven(server):
    bucket = f"frozen-{uuid.uuid4().hex[:12]}"
    patient, storage = open_s3(server, bucket=bucket), open_s3(server, "&timeout=1", bucket=bucket)
    storage.check()
    server.freeze()
    try:
        assert_down(storage, 5)
    finally:
        server.thaw()
    patient.check()  # it has taken up its work again
    put(storage, KEY, PICTURE)
    assert storage.get(KEY) == PICTURE


def test_a_vanished_folder_is_down_and_forgiven(tmp_path):
    storage = open_storage(f"file://{tmp_path}/pictures")
    put(storage, KEY, PICTURE)
    (tmp_path / "pictures").rename(tmp_path / "unmounted")
    assert_down(storage, 1)
    (tmp_path / "unmounted").rename(tmp_path / "pictures")
    assert storage.get(KEY) == PICTURE


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://host", "file:, s3:"),
        ("file://folder/x", "three slashes"),
        ("s3://?endpoint=http://127.0.0.1:1", "names no bucket"),
        ("s3://bucket/folder", "names no bucket"),
        ("s3://bucket?endpont=http://127.0.0.1:1", "endpont"),
        ("s3://bucket?endpoint=nonsense", "nonsense"),
        ("s3://bucket?timeout=soon", "soon"),
    ],
)
def test_a_wrong_url_says_what_is_wrong(url, says):
    with pytest.raises(Permanent, match=says):
        open_storage(url)


def test_an_object_that_we_could_not_name_is_not_listed(moto):
    """Consoles leave `demo/` behind for an empty folder: a list that yields it would end whoever deletes what it lists."""
    storage = open_s3(moto)
    assert isinstance(storage, S3Storage)
    put(storage, KEY, PICTURE)
    for stranger in ("demo/", "acme/.hidden"):
        storage._client.put_object(Bucket=storage.bucket, Key=stranger, Body=b"")
    assert [item.key for item in storage.list()] == [KEY]
