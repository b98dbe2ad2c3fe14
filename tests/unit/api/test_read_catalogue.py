"""A catalogue as sent becomes rows, however it was sent."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import httpx
import pytest

from factory.api.read_catalogue import SentCatalogue, read_catalogue
from factory.domain.matrix import cells
from factory.domain.plain_yaml import LONGEST
from factory.domain.template_body import TemplateBody, TemplateVersion
from factory.errors import FactoryError, Invalid, TooLarge
from factory.intake.rows import read_order
from factory.intake.uploads import Body

HEAD = "name: a\ntemplate: white\nrows: skus.csv\n"
WHITE = TemplateBody.model_validate(
    {"name": "white", "title": "white", "prompt": "{product}", "variables": {"product": {"title": {"zh": "商品名称", "en": "Product"}}}}
)
FIND = {"white": TemplateVersion(WHITE, 1)}.get


def body(content: bytes, content_type: str) -> Body:
    return Body(io.BytesIO(content), content_type, hashlib.sha256(content).hexdigest(), len(content))


def form(**parts: tuple[str, bytes]) -> Body:
    request = httpx.Request("POST", "http://testserver", files=parts)
    return body(request.read(), request.headers["content-type"])


def rows(sent: SentCatalogue) -> list[tuple[int, Any]]:
    return list(sent.rows(FIND))


def test_rows_in_yaml_and_in_json_are_numbered_from_one() -> None:
    text = "name: a\nrows: [{sku: 007, product: 杯}, nonsense]\n"
    assert rows(read_catalogue(body(text.encode(), "application/yaml"))) == [(1, {"sku": "007", "product": "杯"}), (2, "nonsense")]
    text = '{"name": "a", "rows": [{"sku": "007"}]}'
    assert rows(read_catalogue(body(text.encode(), "application/json; charset=utf-8"))) == [(1, {"sku": "007"})]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gbk", "utf-16"])
def test_a_table_beside_it_is_read_in_its_encoding_and_by_its_titles(encoding: str) -> None:
    table = "货号,商品名称,备注\nA-1,保温杯,x\n,,\nA-2,茶壶,y\n".encode(encoding)
    sent = read_catalogue(form(catalogue=("c.yaml", HEAD.encode()), rows=("商品.csv", table)))
    assert rows(sent) == [(1, {"sku": "A-1", "vars": {"product": "保温杯"}}), (3, {"sku": "A-2", "vars": {"product": "茶壶"}})]
    assert "csv_column_ignored" in {warning["code"] for warning in sent.warnings}


def test_columns_and_fields_are_renamed_by_its_map() -> None:
    head = HEAD + "map: {编码: sku, 品名: vars.product}\n"
    table = "编码,品名\nA,杯\n".encode()
    lines = '{"编码": "A", "品名": "杯"}\n'.encode()
    for name, content in (("x.csv", table), ("x.jsonl", lines)):
        sent = read_catalogue(form(catalogue=("c.yaml", head.encode()), rows=(name, content)))
        assert rows(sent) == [(1, {"sku": "A", "vars": {"product": "杯"}})]


def test_a_row_of_a_table_becomes_an_order() -> None:
    sent = read_catalogue(form(catalogue=("c.yaml", HEAD.encode()), rows=("x.csv", b"sku,Product\nA,cup\n")))
    ((_, row),) = rows(sent)
    (cell,) = cells(sent.catalogue, row, FIND)
    order = read_order(cell.order)
    assert (order.sku, order.template, order.vars, order.slot, order.candidate) == ("A", "white", {"product": "cup"}, "main", 1)


def test_a_text_that_cannot_be_stored_blocks_its_row() -> None:
    sent = read_catalogue(body(b'{"name": "a", "rows": [{"sku": "A\\u0000"}, {"sku": "B"}]}', "application/json"))
    (_, bad), (_, good) = rows(sent)
    assert isinstance(bad, Invalid)
    assert good == {"sku": "B"}


def test_the_same_content_in_another_form_is_the_same() -> None:
    def both(table: bytes) -> tuple[str, str]:
        sent = form(catalogue=("c.yaml", HEAD.encode()), rows=("x.csv", table))
        return sent.sha256, read_catalogue(sent).sha256

    cup, same, mug = both(b"sku,product\nA,cup\n"), both(b"sku,product\nA,cup\n"), both(b"sku,product\nA,mug\n")
    assert cup[0] != same[0], "a form has another boundary each time"
    assert cup[1] == same[1] != mug[1]


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"catalogue": ("c.yaml", HEAD.encode())}, "field_missing"),
        ({"rows": ("x.csv", b"sku\nA\n")}, "field_missing"),
        ({"file": ("x.csv", b"sku\nA\n")}, "unknown_field"),
        ({"catalogue": ("c.yaml", b"name: a\nrows: []\n"), "rows": ("x.csv", b"sku\nA\n")}, "field_missing"),
        ({"catalogue": ("c.yaml", HEAD.encode()), "rows": ("x.pdf", b"%PDF")}, "unsupported_media_type"),
        ({"catalogue": ("c.json", b"{"), "rows": ("x.csv", b"sku\nA\n")}, "malformed_json"),
        ({"catalogue": ("c.yaml", b"a: [1"), "rows": ("x.csv", b"sku\nA\n")}, "malformed_yaml"),
        ({"catalogue": ("c.yaml", "name: 春".encode("gbk")), "rows": ("x.csv", b"sku\nA\n")}, "malformed_yaml"),
    ],
)
def test_forms_that_cannot_be_read(parts: dict[str, tuple[str, bytes]], code: str) -> None:
    with pytest.raises(FactoryError) as refused:
        read_catalogue(form(**parts))
    assert refused.value.code == code


@pytest.mark.parametrize("kind", ["application/json", "application/yaml"])
def test_what_is_read_as_one_value_is_short(kind: str) -> None:
    def catalogue(size: int) -> bytes:
        start, end = b'{"name": "a", "rows": [{"sku": "', b'"}]}'
        return start + b"x" * (size - len(start) - len(end)) + end

    assert len(rows(read_catalogue(body(catalogue(LONGEST), kind)))) == 1
    for sent in (body(catalogue(LONGEST + 1), kind), form(catalogue=(f"c.{kind[-4:]}", catalogue(LONGEST + 1)))):
        with pytest.raises(TooLarge, match="a file beside it") as refused:
            read_catalogue(sent)
        assert (refused.value.code, refused.value.problems[0].pointer) == ("body_too_large", "/rows")
