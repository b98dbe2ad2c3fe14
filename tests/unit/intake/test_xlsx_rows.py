"""Workbooks as people have them, and as attackers make them."""

from __future__ import annotations

import gc
import io
import tracemalloc
import zipfile
from collections import deque

import pytest

from factory.errors import Invalid
from factory.intake import xlsx_package
from factory.intake.columns import Reading
from factory.intake.table import Table
from factory.intake.xlsx_numbers import shown
from factory.intake.xlsx_package import ENCRYPTED, OLE
from factory.intake.xlsx_rows import xlsx_rows
from tests.workbooks import MAIN, Raw, packed, relations, sheet_xml, workbook

HEADER = ["货号", "提示词", "宽"]


def read(content: bytes, **reading):
    table = Table(Reading.of(reading.pop("mapping", {}), **reading))
    return list(xlsx_rows(io.BytesIO(content), table)), table


def rows_of(content: bytes, **reading):
    return [row for _, row in read(content, **reading)[0]]


def refused(content: bytes, **reading) -> Invalid:
    with pytest.raises(Invalid) as found:
        read(content, **reading)
    return found.value


def test_cells_as_people_see_them():
    formats: list[int | str] = ["General", "00000", 14, "yyyy-mm-dd hh:mm", "0.00", "0%", '"SKU-"0000', "[$¥-804]#,##0.00;[Red]-0.00"]
    header = ["货号", "提示词", *(f"metadata.{n}" for n in range(10))]
    cells = [
        Raw("123", style=1),
        Raw("一只&杯子", kind="inlineStr"),
        Raw("5.0"),
        Raw("45992", style=2),
        Raw("45992.5", style=3),
        Raw("0.30000000000000004", style=4),
        Raw("0.15", style=5),
        Raw("42", style=6),
        Raw("1234.5", style=7),
        Raw("6901234567892"),
        True,
        Raw("杯", kind="str", formula="A1&B1"),
    ]
    (row,) = rows_of(workbook({"商品": [header, cells]}, formats=formats))
    assert (row["sku"], row["prompt"]) == ("00123", "一只&杯子")
    assert list(row["metadata"].values()) == [
        "5", "2025-12-01", "2025-12-01 12:00:00", "0.30", "15%", "SKU-0042", "1234.50", "6901234567892", "TRUE", "杯",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "style", "expected"),
    [
        ("5", 0, "5"),
        ("5.0", 0, "5"),
        ("1E3", 0, "1000"),
        ("-7", 0, "-7"),
        ("0.1", 0, "0.1"),
        ("1.5", 2, "1.50"),
        ("60", 2, "60.00"),
        ("0.25", 22, "06:00:00"),
        ("1", 14, "1900-01-01"),
        ("61", 14, "1900-03-01"),
        ("45992", 'yyyy"年"m"月"d"日"', "2025-12-01"),
        ("45992", "[$-804]yyyy/m/d;@", "2025-12-01"),
        ("7", '0"件"', "7"),
        ("7", "@", "7"),
        ("-3", "0000", "-3"),
        ("1234567", "0.00E+00", "1234567"),
        ("3.14159", "0.0##", "3.14159"),
    ],
)
def test_a_number_under_its_format(raw, style, expected):
    assert shown(raw, style) == expected


def test_dates_that_count_from_1904():
    content = workbook(
        {"s": [["prompt", "metadata.d"], ["a", Raw("0.5", style=1)], ["a", Raw("44530", style=1)]]}, formats=[0, 14], since_1904=True
    )
    assert [row["metadata"]["d"] for row in rows_of(content)] == ["12:00:00", "2025-12-01"]


def test_blank_rows_are_counted_and_errors_know_their_cell():
    content = workbook({"s": [["2026 春季目录"], [], HEADER, ["S1", "a", 64], [], [None, None, " "], ["S2", "b", 65]]})
    found, table = read(content)
    assert found == [(1, {"sku": "S1", "prompt": "a", "width": "64"}), (4, {"sku": "S2", "prompt": "b", "width": "65"})]
    assert table.locate(4, "/width") == {"column": "宽", "cell": "C7"}
    assert table.locate(4, "/seed") == {}


def test_the_first_visible_sheet_or_the_named_one():
    sheets = {"说明": [["x"]], "商品 清单": [["prompt"], ["a"]], "二": [["prompt"], ["b"]]}
    content = workbook(sheets, hidden=["说明"])
    assert rows_of(content) == [{"prompt": "a"}]
    assert rows_of(content, sheet="二") == [{"prompt": "b"}]
    assert rows_of(workbook(sheets, hidden=["二"]), sheet="二") == [{"prompt": "b"}]
    missing = refused(content, sheet="三")
    assert missing.code == "xlsx_sheet_missing"
    assert "商品 清单" in str(missing)
    assert refused(workbook(sheets, hidden=list(sheets))).code == "xlsx_sheet_missing"


def test_an_empty_sheet_names_the_others():
    empty = refused(workbook({"空": [], "商品": [["prompt"], ["a"]]}))
    assert empty.code == "empty_batch"
    assert "商品" in str(empty)


def test_a_header_alone_has_no_rows():
    assert rows_of(workbook({"s": [HEADER]})) == []


def test_full_width_headers_stars_and_line_breaks():
    for centre in ("成本\n中心", "Cost  Centre", "Cost\nCentre（选填）"):
        assert rows_of(workbook({"s": [["ＳＫＵ", "提示词*", centre], ["S1", "a", "7"]]})) == [
            {"sku": "S1", "prompt": "a", "cost_centre": "7"}
        ]


def test_headers_merged_over_columns_and_a_group_above():
    merged = '<mergeCells count="1"><mergeCell ref="A1:B1"/></mergeCells>'
    content = workbook({"s": [["商品信息", None, "尺寸"], HEADER, ["S1", "a", 64]]}, after=merged)
    assert rows_of(content) == [{"sku": "S1", "prompt": "a", "width": "64"}]


def test_a_formula_that_failed_refuses_its_row_when_its_column_counts():
    bad = Raw("#REF!", kind="e", formula="X1")
    rows = rows_of(workbook({"s": [["prompt", "宽", "备注"], ["a", bad], ["b", None, bad]]}))
    assert rows[1] == {"prompt": "b"}
    assert [(problem.code, problem.pointer) for problem in rows[0].problems] == [("cell_shows_error", "/width")]
    assert "B2" in rows[0].problems[0].message


def test_texts_of_many_runs_without_what_is_only_pronounced():
    texts = f'<sst xmlns="{MAIN}"><si><r><t>红</t></r><r><t>杯</t></r><rPh sb="0" eb="1"><t>hong</t></rPh></si><si><t>a_x000D_b_x0000_</t></si></sst>'
    cells = [[Raw("prompt", kind="inlineStr")], [Raw("0", kind="s")], [Raw("1", kind="s")]]
    assert rows_of(workbook({"s": cells}, more={"xl/sharedStrings.xml": texts})) == [{"prompt": "红杯"}, {"prompt": "a\rb\x00"}]


def test_prefixes_backslashes_capitals_and_cells_without_references():
    sheet = (
        f'<x:worksheet xmlns:x="{MAIN}"><x:sheetData><x:row><x:c t="inlineStr"><x:is><x:t>prompt</x:t></x:is></x:c>'
        '<x:c t="inlineStr"><x:is><x:t>sku</x:t></x:is></x:c></x:row>'
        '<x:row><x:c t="inlineStr"><x:is><x:t>a</x:t></x:is></x:c><x:c><x:v>7</x:v></x:c></x:row></x:sheetData></x:worksheet>'
    )
    book = f'<workbook xmlns="{MAIN}" xmlns:q="urn:strict"><sheets><sheet name="s" q:id="a"/></sheets></workbook>'
    parts = {
        "_rels/.rels": relations([("r", "officeDocument", "/xl/workbook.xml")]),
        "xl/workbook.xml": book,
        "xl/_rels/workbook.xml.rels": relations([("a", "worksheet", "Worksheets/Sheet1.xml")]),
        "xl\\worksheets\\sheet1.xml": sheet,
    }
    assert rows_of(packed(parts)) == [{"prompt": "a", "sku": "7"}]


def test_a_row_wider_than_its_header():
    rows = rows_of(workbook({"s": [["prompt"], ["a", *[None] * 300, "x"], ["b", "", " "]]}))
    assert rows[0].code == "csv_too_many_cells"
    assert rows[1] == {"prompt": "b"}


def test_what_is_no_workbook():
    sheet = f'<worksheet xmlns="{MAIN}"><sheetData><row><c><v>x</v></c></row></sheetData></worksheet>'
    for content in (
        b"",
        b"prompt\na\n",
        b"PK\x03\x04 but no more",
        packed({"a.txt": "x"}),
        workbook({"s": []}, more={"xl/workbook.xml": "<workbook"}),
        workbook({"s": []}, more={"xl/workbook.xml": f'<workbook xmlns="{MAIN}"/>'}),
        workbook({"s": []}, more={"xl/worksheets/sheet1.xml": sheet}),
        workbook({"s": [["prompt"], [Raw("99", kind="s")]]}),
        workbook({"s": [["prompt"], ["a"]]})[:-40],
    ):
        assert refused(content).code == "malformed_xlsx"


def test_a_workbook_says_which_part_it_lacks():
    whole = workbook({"s": [["prompt"], ["a"]]})
    with zipfile.ZipFile(io.BytesIO(whole)) as parts:
        content = {name: parts.read(name) for name in parts.namelist()}
    for gone in ("xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "_rels/.rels"):
        fault = refused(packed({name: part for name, part in content.items() if name != gone}))
        assert str(fault) == f"the workbook is not whole: it lacks {gone}; save it anew as .xlsx"
        assert fault.code == "malformed_xlsx"


def test_old_and_locked_workbooks_say_what_to_do():
    assert refused(OLE + b"\0" * 600).code == "xls_not_read"
    assert refused(OLE + b"\0" * 70_000 + ENCRYPTED).code == "xlsx_encrypted"


def test_entities_are_not_even_defined():
    bomb = '<!DOCTYPE a [<!ENTITY l "l">' + "".join(f'<!ENTITY l{n} "{"&l" * 10};">' for n in range(3)) + f']><worksheet xmlns="{MAIN}"/>'
    assert "document type" in str(refused(workbook({"s": []}, more={"xl/worksheets/sheet1.xml": bomb})))


def test_bombs_are_refused_before_they_are_opened(monkeypatch):
    monkeypatch.setattr(xlsx_package, "SUSPECT", 1_000_000)
    assert refused(workbook({"s": [["prompt"]]}, more={"xl/media/a.bin": bytes(2_000_000)})).code == "xlsx_too_large"
    monkeypatch.setattr(xlsx_package, "LARGEST", 1_500_000)
    noise = b"".join(n.to_bytes(4, "big") for n in range(500_000))
    assert refused(workbook({"s": [["prompt"]]}, more={"xl/media/a.bin": noise})).code == "xlsx_too_large"
    monkeypatch.setattr(xlsx_package, "MOST_PARTS", 4)
    assert refused(workbook({"s": [["prompt"]]})).code == "xlsx_too_large"


def test_a_cell_without_end():
    huge = workbook({"s": [["prompt"], ["x" * 200_000]]})
    assert refused(huge).code == "malformed_xlsx"
    assert refused(workbook({"s": [["prompt"], [Raw("x" * 200_000, kind="inlineStr")]]})).code == "malformed_xlsx"


def test_links_macros_and_other_parts_are_never_opened():
    away = relations([("a", "worksheet", "worksheets/sheet1.xml"), ("b", "externalLink", "externalLinks/externalLink1.xml")])
    book = f'<workbook xmlns="{MAIN}" xmlns:r="urn:r"><sheets><sheet name="s" r:id="a"/></sheets></workbook>'
    more: dict[str, bytes | str] = {
        "xl/workbook.xml": book,
        "xl/_rels/workbook.xml.rels": away,
        "xl/vbaProject.bin": b"\0",
        "xl/externalLinks/externalLink1.xml": "<broken",
    }
    cells = [[Raw("prompt", kind="inlineStr")], [Raw("a", kind="str", formula="[1]other!A1")]]
    assert rows_of(workbook({"s": cells}, more=more)) == [{"prompt": "a"}]


def test_memory_does_not_grow_with_the_rows():
    def peak(count: int) -> int:
        content = workbook({"s": [["prompt", "sku"], *([f"第{n}只红色的杯子，白色背景，柔和的光", f"SKU-{n}"] for n in range(count))]})
        gc.collect()
        tracemalloc.start()
        read_count = sum(1 for _ in xlsx_rows(io.BytesIO(content), Table()))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert read_count == count
        return most - len(content)

    peak(10)  # what the first use loads is no row's memory
    assert peak(4000) < peak(1000) + 500_000


def test_a_hundred_thousand_rows():
    count = 100_000
    content = workbook({"s": [["prompt", "sku"], *(["一只杯子", n] for n in range(count))]})
    (last,) = deque(xlsx_rows(io.BytesIO(content), Table()), maxlen=1)
    assert last == (count, {"prompt": "一只杯子", "sku": str(count - 1)})


def test_sheet_xml_is_what_it_should_be():
    assert sheet_xml([["a"]], {}).count("<c ") == 1
