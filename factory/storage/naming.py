"""What a stored file is called, and which names are refused. Every rule that a file system or a header could fall for is here."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from urllib.parse import quote

from factory.errors import Invalid, Problem

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_RESERVED = set('/\\:*?"<>|')  # separators and what Windows forbids: people unpack our files there
_OBJECT_KEY = re.compile(r"([^/]+)/([^/]+)/\2_(\d{8})_(\d{6,})(?:\.a(\d+))?\.png")
_PROJECT_BYTES = 200  # file systems end at 255, the rest of the name takes up to 40


def object_key(tenant: str, project: str, day: date, seq: int, attempt: int) -> str:
    """`{tenant}/{project}/{project}_{yyyymmdd}_{seq:06d}.png`, with `.a{attempt}` before the ending from the second attempt on. Raises Invalid."""
    if not _SLUG.fullmatch(tenant):
        raise _bad("tenant", tenant, "must be 1 … 63 of a-z, 0-9 and -, and start with a letter or digit")
    name = file_name(project, day, seq)
    if attempt < 1:
        raise _bad("attempt", attempt, "must be 1 or more")
    return f"{tenant}/{project}/{name if attempt == 1 else f'{name[:-4]}.a{attempt}.png'}"


def parse_object_key(key: str) -> tuple[str, str, date, int, int] | None:
    """What `object_key` made `key` of; None for every other key."""
    found = _OBJECT_KEY.fullmatch(key)
    if found is None:
        return None
    tenant, project, day, seq, attempt = found.groups()
    try:
        parts = tenant, project, date(int(day[:4]), int(day[4:6]), int(day[6:])), int(seq), int(attempt or 1)
        return parts if object_key(*parts) == key else None
    except (Invalid, ValueError):
        return None


def file_name(project: str, day: date, seq: int) -> str:
    """`{project}_{yyyymmdd}_{seq:06d}.png`, the name that people see. Raises Invalid that names the field."""
    if wrong := _wrong_text(project) or _wrong_project(project):
        raise _bad("project", project, wrong)
    if seq < 1:
        raise _bad("seq", seq, "must be 1 or more")
    return f"{project}_{day.year:04d}{day.month:02d}{day.day:02d}_{seq:06d}.png"


def check_key(key: str) -> list[str]:
    """The parts of a storage key. Raises Invalid for anything that could leave the storage, hide in it, or be two names for one thing."""
    if not key or len(key.encode(errors="replace")) > 1024:
        raise _bad("key", key, "must be 1 … 1024 bytes")
    parts = key.split("/")
    for part in parts:
        if wrong := _wrong_text(part) or _wrong_part(part):
            raise _bad("key", key, wrong)
    return parts


def check_prefix(prefix: str) -> None:
    """Raises Invalid for a prefix that no key can start with."""
    if prefix:
        check_key(prefix.removesuffix("/"))


def content_disposition(filename: str) -> str:
    """An `attachment` header (RFC 6266) that every browser reads: an ASCII stand-in, then the real name. Raises Invalid."""
    check_filename(filename)
    ascii_name = filename.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_").replace("%", "_")
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(filename, safe='')}"


def check_filename(filename: str) -> None:
    if wrong := _wrong_text(filename) or _wrong_part(filename):
        raise _bad("filename", filename, wrong)
    if "/" in filename:
        raise _bad("filename", filename, "must not contain /")


def _wrong_text(text: str) -> str:
    """Controls, line ends, halves of surrogate pairs, and invisible marks that make a name read backwards."""
    for character in text:
        category = unicodedata.category(character)
        if category[0] == "C" or category in {"Zl", "Zp"}:
            return f"must not contain the invisible character U+{ord(character):04X}"
    return ""


def _wrong_part(part: str) -> str:
    if not part or len(part.encode()) > 255:
        return "each part between slashes must be 1 … 255 bytes"
    if part.startswith(".") or "\\" in part:
        return "no part may start with a dot or contain a backslash"
    return ""


def _wrong_project(project: str) -> str:
    if not project or len(project) > 64 or len(project.encode()) > _PROJECT_BYTES:
        return f"must be 1 … 64 characters and at most {_PROJECT_BYTES} bytes in UTF-8"
    if found := sorted(_RESERVED.intersection(project)):
        return f"must not contain {' '.join(found)}"
    if ".." in project or project[0] in ".-~" or project[-1] == "." or project != project.strip():
        return "must not contain .., start with . - ~ or a space, nor end with . or a space"
    if not unicodedata.is_normalized("NFC", project):
        return "must be in Unicode normal form C, or two names would look the same"
    return ""


def _bad(field: str, value: object, wrong: str) -> Invalid:
    return Invalid(None, Problem("unsafe_name", f"{field} {str(value)[:80]!r} {wrong}", f"/{field}", value))
