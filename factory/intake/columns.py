"""What a table's headers mean: fields of an order, labels, variables of its template."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from factory.domain.job_order import JobOrder
from factory.errors import Invalid, Problem

MOST_COLUMNS = 200
LONGEST_NAME = 64
UNUSED = "-"
ALIASES = {
    "提示词": "prompt",
    "正向提示词": "prompt",
    "反向提示词": "negative_prompt",
    "负面提示词": "negative_prompt",
    "货号": "sku",
    "商品编码": "sku",
    "商品货号": "sku",
    "sku编码": "sku",
    "宽": "width",
    "宽度": "width",
    "高": "height",
    "高度": "height",
    "尺寸": "size",
    "种子": "seed",
    "模型": "model",
    "模板": "template",
    "图位": "slot",
    "语言": "locale",
    "标签": "tags",
    "活动": "campaign",
    "成本中心": "cost_centre",
    "外部编号": "external_id",
    "优先级": "priority",
    "最早时间": "not_before",
    "截止时间": "deadline",
    "订单过期时间": "expires_at",
}
NAMED_PAIRS = ("metadata", "vars")
FIELDS = frozenset(JobOrder.model_fields) - {*NAMED_PAIRS}
Warnings = list[dict[str, Any]]
IGNORED = re.compile(r"(?<=[一-鿿]) (?=[一-鿿])|(?:[* ]|\((?:必填|选填|required|optional)\)){1,9}$")


def legible(header: str) -> str:
    """Half-width, on one line, without what has no ink."""
    return "".join(filter(str.isprintable, " ".join(unicodedata.normalize("NFKC", header).split())))


def fold(header: str) -> str:
    """How headers are compared: width, case, line breaks, spaces in Chinese, and the star or note of a required column do not count."""
    return IGNORED.sub("", legible(header).rstrip("* ").casefold())


def name_each(name: str) -> Problem:
    return Problem("unknown_field", f"{name}: name each pair by itself, as {name}.NAME", f"/{name}")


def mapping_problems(mapping: Mapping[str, str], pointer: str = "/map") -> list[Problem]:
    """One for each header that is to fill what is no field."""
    return [
        Problem("mapping_unknown_field", f"{header[:60]!r} cannot fill {target[:60]!r}; {_CHOICES}", f"{pointer}/{header[:60]}", target)
        for header, target in mapping.items()
        if not _may_be_filled(target)
    ]


_CHOICES = f"choose one of {', '.join(sorted(FIELDS - {'project'}))}, metadata.NAME, vars.NAME, or {UNUSED} for a column that means nothing"


def _may_be_filled(target: str) -> bool:
    group, _, name = target.partition(".")
    if group in NAMED_PAIRS:
        return 0 < len(name) <= LONGEST_NAME
    return target == UNUSED or (target in FIELDS and target != "project")


@dataclass(frozen=True)
class Reading:
    """How an order wants its table read.

    `mapping` says what a header means; `variables` what else a variable of the order's template may be called; `sheet` names a
    sheet of a workbook. `templated`: rows need no prompt of their own. Headers and names are folded.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    templated: bool = False
    sheet: str | None = None

    @classmethod
    def of(
        cls,
        mapping: Mapping[str, str],
        variables: Mapping[str, Iterable[str]] | None = None,
        *,
        templated: bool = False,
        sheet: str | None = None,
    ) -> Reading:
        """`variables`: name → its titles. A name comes before another's title."""
        named = variables or {}
        titles = {fold(title): name for name, called in named.items() for title in called if fold(title)}
        titles |= {fold(name): name for name in named}
        return cls({fold(header): target for header, target in mapping.items()}, titles, templated, sheet)


@dataclass(frozen=True)
class Column:
    """`fills`: fields of an order, mostly one or none; `said` when the order's mapping names them."""

    header: str
    at: int
    fills: tuple[str, ...]
    said: bool = False

    @property
    def letter(self) -> str:
        """As spreadsheets count: A … Z, AA …"""
        letters, left = "", self.at + 1
        while left:
            left, digit = divmod(left - 1, 26)
            letters = chr(65 + digit) + letters
        return letters


def read_header(cells: list[str], reading: Reading) -> list[Column]:
    """What each column fills. A column that the mapping names leaves none of its fields to others."""
    columns = [_column(header, at, reading) for at, header in enumerate(cells)]
    said = {target for column in columns if column.said for target in column.fills}
    return [
        column if column.said else Column(column.header, column.at, tuple(target for target in column.fills if target not in said))
        for column in columns
    ]


def _column(cell: str, at: int, reading: Reading) -> Column:
    header, folded = legible(cell), fold(cell)
    if folded in reading.mapping:
        target = reading.mapping[folded]
        return Column(header, at, () if target == UNUSED else (target,), said=True)
    fills = []
    group, dot, name = header.partition(".")
    if dot and group.casefold() in NAMED_PAIRS and name:
        fills.append(f"{group.casefold()}.{name.strip()}")
    elif (known := ALIASES.get(folded) or folded.replace(" ", "_")) in FIELDS or known in NAMED_PAIRS:
        fills.append(known)
    if folded in reading.variables:
        fills.append(f"vars.{reading.variables[folded]}")
    return Column(header, at, tuple(fills))


def has_a_picture(columns: list[Column], reading: Reading) -> bool:
    """Whether rows under this header can say what to draw."""
    filled = {target for column in columns for target in column.fills}
    return bool(filled) if reading.templated else not filled.isdisjoint({"prompt", "template"})


def check_header(columns: list[Column], reading: Reading, warnings: Warnings) -> None:
    """Raises Invalid for a header that cannot be ordered from; adds a warning for columns and mappings that fill nothing."""
    if len(columns) > MOST_COLUMNS:
        message = f"the header has {len(columns)} columns; at most {MOST_COLUMNS} are read"
        raise Invalid(None, Problem("csv_too_many_columns", message, "", len(columns)))
    found = ", ".join(column.header[:40] for column in columns[:20])
    if not has_a_picture(columns, reading):
        message = (
            "no column fills a field or a variable of the template"
            if reading.templated
            else "the file has no column `prompt` (or 提示词), and the order no template"
        )
        message += f"; say which is which with map.HEADER=FIELD; columns found: {found}"
        raise Invalid(None, Problem("csv_missing_column", message, "/prompt", found))
    filled = Counter(target for column in columns for target in column.fills)
    if pairs := [name for name in NAMED_PAIRS if name in filled]:
        raise Invalid(None, *map(name_each, pairs))
    if twice := [target for target, count in filled.items() if count > 1]:
        where = "; ".join(f"{target}: {_told(columns, target)}" for target in sorted(twice))
        message = f"two columns mean the same ({where}); keep one, or leave one out with map.HEADER={UNUSED}"
        raise Invalid(None, Problem("csv_duplicate_column", message, f"/{twice[0].replace('.', '/')}", found[:200]))
    _warn(columns, reading, warnings)


def _told(columns: list[Column], target: str) -> str:
    return " and ".join(f"{column.header[:40]} ({column.letter})" for column in columns if target in column.fills)


def _warn(columns: list[Column], reading: Reading, warnings: Warnings) -> None:
    if unused := [column.header[:60] for column in columns if not column.fills and not column.said and column.header]:
        remedy = "name a field with map.HEADER=FIELD, or put what you want to find again into columns named metadata.…"
        warnings.append({"code": "csv_column_ignored", "pointer": "", "detail": f"not used: {', '.join(unused[:20])}; {remedy}"})
    present = {fold(column.header) for column in columns}
    if absent := [header[:60] for header in reading.mapping if header not in present]:
        detail = f"the mapping names columns that are not in the file: {', '.join(absent[:20])}"
        warnings.append({"code": "mapping_column_absent", "pointer": "/map", "detail": detail})
