"""Workbooks for tests, written by hand, so that they may hold what no good program writes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


@dataclass(frozen=True)
class Raw:
    """A cell as XML: `kind` is its `t`, `style` its `s`, `formula` stands beside its value."""

    value: str
    kind: str = "n"
    style: int = 0
    formula: str = ""


def letters(at: int) -> str:
    return (letters(at // 26 - 1) if at >= 26 else "") + chr(65 + at % 26)


def cell(at: int, row: int, value: Any, strings: dict[str, int]) -> str:
    where = f'r="{letters(at)}{row}"'
    if value is None:
        return ""
    if isinstance(value, Raw):
        formula = f"<f>{escape(value.formula)}</f>" if value.formula else ""
        inside = f"<is><t>{escape(value.value)}</t></is>" if value.kind == "inlineStr" else f"{formula}<v>{escape(value.value)}</v>"
        return f'<c {where} s="{value.style}" t="{value.kind}">{inside}</c>'
    if isinstance(value, bool):
        return f'<c {where} t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float):
        return f"<c {where}><v>{value!r}</v></c>"
    return f'<c {where} t="s"><v>{strings.setdefault(value, len(strings))}</v></c>'


def sheet_xml(rows: Iterable[Sequence[Any]], strings: dict[str, int], after: str = "") -> str:
    """A row of None is left out of the file altogether, as programs do with blank ones."""
    lines = [
        f'<row r="{number}">' + "".join(cell(at, number, value, strings) for at, value in enumerate(row)) + "</row>"
        for number, row in enumerate(rows, 1)
        if row
    ]
    return f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(lines)}</sheetData>{after}</worksheet>'


def workbook(
    sheets: Mapping[str, Iterable[Sequence[Any]]],
    *,
    hidden: Iterable[str] = (),
    formats: Sequence[int | str] = ("General",),
    since_1904: bool = False,
    after: str = "",
    more: Mapping[str, bytes | str] | None = None,
) -> bytes:
    """`formats` are the styles that cells name; `after` follows each sheet's rows; `more` adds parts or replaces them."""
    strings: dict[str, int] = {}
    parts: dict[str, bytes | str] = {
        f"xl/worksheets/sheet{n}.xml": sheet_xml(rows, strings, after) for n, rows in enumerate(sheets.values(), 1)
    }
    listed = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{n}" r:id="rId{n}"{" state=" + chr(34) + "hidden" + chr(34) if name in hidden else ""}/>'
        for n, name in enumerate(sheets, 1)
    )
    parts["xl/workbook.xml"] = (
        f'<workbook xmlns="{MAIN}" xmlns:r="{LINKS}"><workbookPr date1904="{int(since_1904)}"/><sheets>{listed}</sheets></workbook>'
    )
    links = [(f"rId{n}", "worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)]
    links += [("s1", "styles", "styles.xml"), ("s2", "sharedStrings", "/xl/sharedStrings.xml")]
    parts["xl/_rels/workbook.xml.rels"] = relations(links)
    parts["_rels/.rels"] = relations([("r1", "officeDocument", "xl/workbook.xml")])
    parts["xl/styles.xml"] = styles_xml(formats)
    texts = "".join(f'<si><t xml:space="preserve">{escape(text)}</t></si>' for text in strings)
    parts["xl/sharedStrings.xml"] = f'<sst xmlns="{MAIN}">{texts}</sst>'
    return packed({**parts, **(more or {})})


def relations(links: Iterable[tuple[str, str, str]]) -> str:
    inside = "".join(f'<Relationship Id="{name}" Type="{LINKS}/{kind}" Target="{target}"/>' for name, kind, target in links)
    return f'<Relationships xmlns="{PACKAGE}">{inside}</Relationships>'


def styles_xml(formats: Sequence[int | str]) -> str:
    codes = [(164 + at, code) for at, code in enumerate(formats) if isinstance(code, str)]
    named = "".join(f'<numFmt numFmtId="{number}" formatCode={quoteattr(code)}/>' for number, code in codes)
    styles = "".join(f'<xf numFmtId="{code if isinstance(code, int) else 164 + at}"/>' for at, code in enumerate(formats))
    other = '<cellStyleXfs count="1"><xf numFmtId="14"/></cellStyleXfs>'
    return f'<styleSheet xmlns="{MAIN}"><numFmts>{named}</numFmts>{other}<cellXfs>{styles}</cellXfs></styleSheet>'


def packed(parts: Mapping[str, bytes | str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()
