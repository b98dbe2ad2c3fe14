"""File names and keys: what people see, and what is refused."""

import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.errors import Invalid
from factory.storage.naming import check_key, content_disposition, file_name, object_key, parse_object_key

DAY = date(2026, 11, 1)
PUNCTUATION = ["a/b", "/", "\\", "C:", "a*", "a?", 'a"', "<a>", "a|b", "../../x", ".", "..", "a..b", ".git", "a.", "-rf", "~"]
INVISIBLE = ["a\0", "a\n", "a\tb", "a\u202eb", "a\u200bb", "\ufeffa", "a\u2028b", "\ud800", "e\u0301"]
HOSTILE = ["", " ", " a", "a ", "a" * 65, "\U0001f600" * 64, *PUNCTUATION, *INVISIBLE]


def test_the_name_never_has_the_attempt_and_the_key_has_it_from_the_second_on():
    assert file_name("summer", DAY, 7) == "summer_20261101_000007.png"
    assert object_key("acme", "summer", DAY, 7, 1) == "acme/summer/summer_20261101_000007.png"
    assert object_key("acme", "summer", DAY, 7, 12) == "acme/summer/summer_20261101_000007.a12.png"
    assert object_key("acme", "summer", DAY, 1_234_567, 1).endswith("_1234567.png")


@pytest.mark.parametrize(("project", "attempt"), [("双11·大促", 1), ("a_20261101_000001", 3), ("a.a2", 2)])
def test_a_key_says_what_it_was_made_of(project, attempt):
    assert parse_object_key(object_key("acme", project, DAY, 7, attempt)) == ("acme", project, DAY, 7, attempt)


STRANGERS = [
    "logo.png",
    "acme/summer/logo.png",
    "acme/a/b_20261101_000007.png",
    "acme/a/a_20261399_000007.png",
    "acme/a/a_20261101_000007.jpg",
]
TWINS = [
    "acme/a/a_20261101_0000007.png",
    "acme/a/a_20261101_000007.a1.png",
    "acme/a/a_20261101_000007.a02.png",
    "Acme/a/a_20261101_000007.png",
]


@pytest.mark.parametrize("key", STRANGERS + TWINS)
def test_a_name_that_we_never_give_is_no_key_of_ours(key):
    assert parse_object_key(key) is None


@pytest.mark.parametrize("project", ["双11", "秋冬 新品（男装）", "SKU-42_v1.2", "夏日「清凉」·特惠！", "a" * 64, "字" * 64])
def test_what_people_call_their_projects_is_allowed(project):
    assert file_name(project, DAY, 1).startswith(project)


@pytest.mark.parametrize("project", HOSTILE)
def test_a_hostile_project_is_refused_by_name(project):
    with pytest.raises(Invalid, match="project") as refused:
        object_key("acme", project, DAY, 1, 1)
    assert refused.value.problems[0].pointer == "/project"


@pytest.mark.parametrize("tenant", ["", "Acme", "a/b", "..", "-a", "a_b", "a\n", "a" * 64, "公司"])
def test_a_hostile_tenant_is_refused_by_name(tenant):
    with pytest.raises(Invalid, match="tenant"):
        object_key(tenant, "summer", DAY, 1, 1)


@pytest.mark.parametrize(("seq", "attempt", "field"), [(0, 1, "seq"), (-1, 1, "seq"), (1, 0, "attempt")])
def test_numbers_start_at_one(seq, attempt, field):
    with pytest.raises(Invalid, match=field):
        object_key("acme", "summer", DAY, seq, attempt)


@given(st.text(max_size=70), st.dates(), st.integers(1, 10**9), st.integers(1, 1000))
def test_every_allowed_project_gives_one_safe_key_of_three_parts(project, day, seq, attempt):
    try:
        key = object_key("acme", project, day, seq, attempt)
    except Invalid:
        return
    assert check_key(key) == key.split("/")
    assert len(key.split("/")) == 3
    assert unicodedata.normalize("NFC", key) == key
    assert content_disposition(file_name(project, day, seq)).isascii()


@given(st.text(max_size=40))
def test_a_header_never_breaks(filename):
    try:
        header = content_disposition(filename)
    except Invalid:
        return
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
