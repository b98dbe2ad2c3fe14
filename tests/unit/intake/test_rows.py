"""Reading rows a piece at a time gives what reading them at once would."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.errors import Invalid, Malformed
from factory.intake import csv_rows as csv_room
from factory.intake import json_rows as json_room
from factory.intake.batch_head import head_from_pairs
from factory.intake.rows import unstorable
from factory.intake.table import Table

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(json_room, "CHUNK", 3)


def read(content: bytes):
    head: dict[str, object] = {}
    return [row for _, row in json_room.json_rows(io.BytesIO(content), head)], head


@given(rows=st.lists(VALUES, max_size=6), indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
def test_a_list_in_pieces(rows, indent, ascii_only):
    json_room.CHUNK = 3
    assert read(json.dumps(rows, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")) == (rows, {})


@given(
    rows=st.lists(VALUES, max_size=4),
    head=st.dictionaries(st.text().filter(lambda name: name != "rows"), VALUES, max_size=3),
    first=st.booleans(),
)
def test_an_object_in_pieces(rows, head, first):
    body = {"rows": rows, **head} if first else {**head, "rows": rows}
    assert read(json.dumps(body).encode()) == (rows, head)


@given(rows=st.lists(VALUES, min_size=1, max_size=3), data=st.data())
def test_a_body_that_was_cut_off(rows, data):
    whole = json.dumps(rows).encode()
    with pytest.raises(Malformed):
        read(whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_numbers_too_long_for_python_are_no_fault_of_ours():
    with pytest.raises(Malformed):
        read(b"[" + b"7" * 5000 + b"]")


@pytest.mark.parametrize("text", ['{"rows": 7}', '{"rows": [], "rows": []}'])
def test_rows_must_be_one_list(text):
    with pytest.raises(Invalid) as found:
        read(text.encode())
    assert found.value.problems[0].pointer == "/rows"


def rows_of(text: str, encoding: str = "utf-8"):
    return [row for _, row in csv_room.csv_rows(io.BytesIO(text.encode(encoding)), Table())]


def test_quotes_line_ends_and_short_rows():
    assert rows_of('prompt,sku\r\n"a, ""b""\nc",S1\r\nd\r\n') == [{"prompt": 'a, "b"\nc', "sku": "S1"}, {"prompt": "d"}]


def test_full_width_headers_and_spaces():
    assert rows_of("Ｐｒｏｍｐｔ , Cost Centre\na,7\n") == [{"prompt": "a", "cost_centre": "7"}]


@pytest.mark.parametrize("bad", [float("inf"), float("-inf"), "\ud800", "x\x00"])
def test_what_no_database_stores_is_found_however_deep_it_lies(bad):
    deep = bad
    for _ in range(5000):
        deep = {"metadata": [deep]}
    assert unstorable(deep)
    assert unstorable({bad: 1} if isinstance(bad, str) else {"x": bad})
    assert unstorable({"prompt": "杯子 😀", "width": 7, "x": [1.5, None]}) is None


@pytest.mark.parametrize("text", ['prompt\none\n"two\nthree\nfour', 'prompt,sku\n"a"b,1\n'])
def test_a_quote_left_open_swallows_no_rows(text):
    with pytest.raises(Malformed, match="starts in line"):
        rows_of(text)


def test_many_columns_are_refused_and_none_is_compared_with_all_others():
    with pytest.raises(Invalid) as found:
        rows_of("prompt," + ",".join(f"metadata.{n}" for n in range(200)) + "\na\n")
    assert found.value.code == "csv_too_many_columns"


@pytest.mark.parametrize("text", ["prompt\n" + "," * 1_100_000 + "\n", "prompt\n" + '"\n",' * 300_000])
def test_a_row_over_any_number_of_lines_is_bounded(text):
    with pytest.raises(Malformed, match="line 2: longer than"):
        rows_of(text)


@pytest.mark.parametrize("header", ["prompt,metadata,metadata.x", "prompt,Metadata"])
def test_metadata_is_named_pair_by_pair(header):
    with pytest.raises(Invalid) as found:
        rows_of(header + "\na,b,c\n")
    assert found.value.problems[0].pointer == "/metadata"
    with pytest.raises(Invalid):
        head_from_pairs([("metadata", "x"), ("metadata.a", "y")])
