"""Small workbooks that unpack to much work are refused early, and large ones take turns."""

from __future__ import annotations

import io
import random
from contextlib import closing
from threading import BoundedSemaphore

import pytest

from factory.api.problems import status_of
from factory.errors import Capacity, Invalid
from factory.intake import xlsx_book, xlsx_package, xlsx_rows, xlsx_turn
from factory.intake.table import Table
from tests.workbooks import MAIN, Raw, workbook

HEADER = '<row><c t="inlineStr"><is><t>prompt</t></is></c></row>'
A = '<row><c t="inlineStr"><is><t>a</t></is></c></row>'
PART = "xl/worksheets/sheet1.xml"


def book(rows: str, **more: bytes | str) -> bytes:
    sheet = f'<worksheet xmlns="{MAIN}"><sheetData>{HEADER}{rows}</sheetData></worksheet>'
    return workbook({"s": []}, more={PART: sheet, **more})


def texts(inside: str) -> bytes:
    return book(A, **{"xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{inside}</sst>'})


def rows_of(content: bytes):
    return [row for _, row in xlsx_rows.xlsx_rows(io.BytesIO(content), Table())]


def refused(content: bytes) -> tuple[str, str]:
    with pytest.raises(Invalid) as found:
        rows_of(content)
    return found.value.code, str(found.value)


def test_a_row_wider_than_any_sheet():
    assert rows_of(book(f"<row>{'<c/>' * 16_384}</row>{A}")) == [{"prompt": "a"}]
    code, said = refused(book(f"<row>{'<c/>' * 16_385}</row>"))
    assert code == "malformed_xlsx"
    assert said == "row 2 of the sheet holds over 16384 cells; copy the columns that count into a new workbook"


@pytest.mark.parametrize("blank", ["<row/>", "<row><c/></row>", "<x/>", "<row><c><v/></c></row>", "<row><c><f>A1</f></c></row>"])
def test_what_holds_no_value_is_counted(monkeypatch, blank):
    monkeypatch.setattr(xlsx_rows, "MOST_BLANK", 50)
    assert rows_of(book(blank * 10 + A)) == [{"prompt": "a"}]
    code, said = refused(book(blank * 60))
    assert code == "xlsx_too_large"
    assert "rows and cells without a value; copy those with values" in said


def test_values_are_not_counted_as_blank(monkeypatch):
    monkeypatch.setattr(xlsx_rows, "MOST_BLANK", 10)
    assert len(rows_of(book(A * 60))) == 60
    monkeypatch.setattr(xlsx_rows, "MOST_ELEMENTS", 100)
    assert refused(book(A * 60))[0] == "xlsx_too_large"


def test_shared_texts_and_their_pieces(monkeypatch):
    monkeypatch.setattr(xlsx_book, "MOST_TEXTS", 20)
    assert rows_of(texts("<si/>" * 20)) == [{"prompt": "a"}]
    assert refused(texts("<si/>" * 21)) == (
        "xlsx_too_large",
        "the workbook holds over 20 shared texts; copy the sheet that is meant into a new workbook, or split it",
    )
    monkeypatch.setattr(xlsx_book, "MOST_PIECES", 50)
    assert "over 50 pieces of shared texts" in refused(texts(f"<si>{'<r/>' * 60}</si>"))[1]


def test_facts_of_too_many_elements(monkeypatch):
    monkeypatch.setattr(xlsx_package, "MOST_FACTS", 30)
    assert rows_of(book(A)) == [{"prompt": "a"}]
    code, said = refused(book(A, **{"xl/styles.xml": f'<styleSheet xmlns="{MAIN}">{"<xf/>" * 40}</styleSheet>'}))
    assert (code, said.split(" ")[0]) == ("xlsx_too_large", "xl/styles.xml")


def test_a_part_that_unpacks_to_too_much_is_found_behind_others_that_do_not():
    noise = random.Random(7).randbytes(20_000)
    code, said = refused(book("<row/>" * 300_000, **{"xl/media/a.bin": noise}))
    assert code == "xlsx_too_large"
    assert said.startswith(PART)


def test_a_repetitive_sheet_is_honest():
    content = workbook({"s": [["prompt", "sku"], *([["一只杯子", "x"]] * 20_000)]})
    assert len(rows_of(content)) == 20_000


@pytest.mark.parametrize("endless", ['<row a="{}"/>', "<!-- {} -->"])
def test_a_tag_without_end(monkeypatch, endless):
    monkeypatch.setattr(xlsx_package, "LONGEST_TAG", 100_000)
    assert rows_of(book(endless.format("x" * 30_000) + A)) == [{"prompt": "a"}]
    code, said = refused(book(endless.format("x" * 300_000)))
    assert code == "malformed_xlsx"
    assert "a tag or comment of over 100000 bytes" in said


def test_a_style_below_none():
    for style in (-1, -5):
        code, said = refused(workbook({"s": [["prompt"], [Raw("1", style=style)]]}))
        assert code == "malformed_xlsx"
        assert said == f"a cell in row 2 names style {style}; save the workbook anew as .xlsx"
    assert rows_of(workbook({"s": [["prompt"], [Raw("1", style=99)]]})) == [{"prompt": "1"}]


def test_large_workbooks_take_turns(monkeypatch):
    monkeypatch.setattr(xlsx_turn, "SMALL", 10_000)
    monkeypatch.setattr(xlsx_turn, "places", BoundedSemaphore(1))
    small, large = book(A), book(A * 2000)
    with closing(xlsx_rows.xlsx_rows(io.BytesIO(large), Table())) as reading:
        next(reading)
        with pytest.raises(Capacity) as busy:
            rows_of(large)
        assert status_of(busy.value) == 503
        assert "send this one again" in str(busy.value)
        assert rows_of(small) == [{"prompt": "a"}]
    assert len(rows_of(large)) == 2000
    with pytest.raises(Invalid):
        rows_of(book(A * 2000 + f"<row>{'<c/>' * 16_385}</row>"))
    assert len(rows_of(large)) == 2000
