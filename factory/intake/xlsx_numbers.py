"""Numbers of a workbook as people see them: 5 and not 5.0, 00123 where the cell shows zeros, dates as dates."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

EXACT = 1e15
# Built-in formats that show dates or times; 27-36 and 50-58 do in Chinese Excel.
DATES = frozenset({*range(14, 23), *range(27, 37), 45, 46, 47, *range(50, 59)})
DECIMALS = {2: 2, 4: 2, 10: 2, 39: 2, 40: 2, 7: 2, 8: 2, 44: 2}
PERCENT = frozenset({9, 10})
SAID_AS_IS = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')
PADDED = re.compile(r'^(?:"([^"]*)")?(0{2,30})(?:"([^"]*)")?$')
FRACTION = re.compile(r"[0#?]\.(0{1,15})(?![0#?])")
LAST_DAY = 2_958_465  # 9999-12-31


def shown(raw: str, style: int | str, *, since_1904: bool = False) -> str:
    """`style` is the number of a built-in format, or a format's code. Raises ValueError for what is no number."""
    value = float(raw)
    if value - value != 0:
        raise ValueError("not finite")
    kind, places, before, after = _look(style)
    if kind == "date" and 0 <= value < LAST_DAY + 1:
        return _moment(value, since_1904=since_1904)
    if kind == "padded" and value == int(value) and value >= 0:
        return f"{before}{int(value):0{places}d}{after}"
    if kind == "percent":
        return f"{value * 100:.{places}f}%"
    if kind == "fixed":
        return f"{value:.{places}f}"
    return _general(raw, value)


def _general(raw: str, value: float) -> str:
    if raw.lstrip("-").isdecimal():
        return raw
    if value == int(value) and abs(value) < EXACT * 1000:
        return str(int(value))
    return format(value, ".15g")


@lru_cache(512)
def _look(style: int | str) -> tuple[str, int, str, str]:
    """(kind, digits or decimal places, text before, text after)."""
    if isinstance(style, int):
        if style in DATES:
            return "date", 0, "", ""
        kind = "percent" if style in PERCENT else "fixed" if style in DECIMALS else "general"
        return kind, DECIMALS.get(style, 0), "", ""
    first = style.split(";")[0].strip()
    if padded := PADDED.match(first):
        return "padded", len(padded[2]), padded[1] or "", padded[3] or ""
    bare = SAID_AS_IS.sub("", first).lower()
    elapsed = any(mark in first.lower() for mark in ("[h", "[m", "[s"))
    if elapsed or (bare.strip() not in {"general", "@"} and re.search(r"[ymdhs]", bare)):
        return "date", 0, "", ""
    if "e+" in bare or "e-" in bare or "general" in bare:
        return "general", 0, "", ""
    fraction = FRACTION.search(bare)
    places = len(fraction[1]) if fraction else 0
    if "%" in bare:
        return "percent", places, "", ""
    return ("fixed", places, "", "") if fraction else ("general", 0, "", "")


def _moment(value: float, *, since_1904: bool) -> str:
    days, rest = divmod(value, 1)
    seconds = round(rest * 86_400)
    if days < 1 and 0 < seconds < 86_400:
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    # Excel's 1900 has a 29th of February.
    first = datetime(1904, 1, 1, tzinfo=UTC) if since_1904 else datetime(1899, 12, 30 if days >= 60 else 31, tzinfo=UTC)
    try:
        moment = first + timedelta(days=days, seconds=seconds)
    except OverflowError as fault:
        raise ValueError("a date after the year 9999") from fault
    return f"{moment:%Y-%m-%d %H:%M:%S}" if seconds % 86_400 else f"{moment:%Y-%m-%d}"
