"""`Prefer` (RFC 7240): what a client would like, by name. Several headers are one list; of a name said twice the first counts."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Up to the next comma; a quoted text may hold commas and semicolons.
ONE = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,"])+')
NAME_AND_VALUE = re.compile(r'\s*([^\s=;"]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*)))?')


def preferences(headers: Iterable[str]) -> dict[str, str]:
    """Names in small letters, values without their quotes; parameters after a semicolon are left out."""
    found: dict[str, str] = {}
    for one in ONE.findall(",".join(headers)):
        if match := NAME_AND_VALUE.match(one):
            found.setdefault(match[1].lower(), match[2] or match[3] or "")
    return found
