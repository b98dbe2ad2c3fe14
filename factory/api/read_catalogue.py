"""A catalogue as sent: one YAML or JSON with its rows in it, or a form of a catalogue and a file of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from os import SEEK_END
from pathlib import PurePosixPath
from typing import IO, Any

import orjson
from pydantic import ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, parse_form

from factory.domain.catalogue import Catalogue
from factory.domain.matrix import FindTemplate
from factory.domain.plain_yaml import LONGEST, read_yaml
from factory.errors import Invalid, Malformed, Problem, TooLarge, UnsupportedMedia
from factory.intake.columns import Reading, Warnings, mapping_problems
from factory.intake.field_problems import field_problems
from factory.intake.rows import RowDefaults, unstorable
from factory.intake.uploads import ENDINGS, Body, Upload, read_upload
from factory.intake.uploads import KINDS as KINDS_OF_ROWS
from factory.jobs.admit import project_problems
from factory.storage.lifecycle import RETENTION

YAML = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")
KINDS = ("application/json", *YAML, "multipart/form-data")
MEDIA_TYPES = {kind: media_type for media_type, kind in reversed(KINDS_OF_ROWS.items())}
PARTS = ("catalogue", "rows")


@dataclass
class SentCatalogue:
    """`sha256` is of the content that counts. `warnings` fill while rows are read."""

    catalogue: Catalogue
    sha256: str
    file: Upload | None = None
    warnings: Warnings = field(default_factory=list)

    def rows(self, find: FindTemplate) -> Iterator[tuple[int, Any]]:
        """(number from 1, row or what is wrong with it), once. Columns may be called as the variables of its templates are."""
        reading = self._reading(find)
        if self.file is None:
            inline = self.catalogue.rows
            yield from enumerate(self._renamed(inline if isinstance(inline, list) else [], reading), 1)
            return
        is_table = self.file.kind in {"csv", "xlsx"}
        with closing(self.file.rows(reading)) as rows:
            for number, row in rows:
                yield number, row if is_table else next(self._renamed([row], reading))
        self.warnings += self.file.warnings

    def _renamed(self, rows: list[Any], reading: Reading) -> Iterator[Any]:
        names = RowDefaults(mapping=reading.mapping)
        for row in rows:
            if isinstance(row, dict) and (wrong := unstorable(row)):
                yield Invalid(None, Problem("invalid_value", wrong))
            else:
                yield names.complete(row) if isinstance(row, dict) else row

    def _reading(self, find: FindTemplate) -> Reading:
        named = {self.catalogue.template, *(slot.template for slot in self.catalogue.slots.values())} - {None}
        titles: dict[str, list[str]] = {}
        for version in (find(name) for name in sorted(name for name in named if name)):
            for name, variable in (version.body.variables if version else {}).items():
                said = (variable.title.zh, variable.title.en) if variable.title else ()
                titles.setdefault(name, []).extend(title for title in said if title)
        return Reading.of(self.catalogue.map, titles, templated=bool(named), sheet=self.catalogue.sheet)


def read_catalogue(body: Body) -> SentCatalogue:
    """Raises UnsupportedMedia, Malformed, TooLarge, Invalid."""
    if body.media_type == "multipart/form-data":
        return _from_form(body)
    if body.media_type not in KINDS:
        raise UnsupportedMedia(f"Content-Type {body.media_type[:60]!r} is not read here; send {', '.join(KINDS)}")
    catalogue = _checked(_parsed(_whole(body.file), body.media_type))
    if not isinstance(catalogue.rows, list):
        message = (
            "the rows are missing; give them as a list in `rows`, or send a form of a catalogue and a file: -F catalogue=@… -F rows=@…"
        )
        raise Invalid(None, Problem("field_missing", message, "/rows", catalogue.rows))
    return SentCatalogue(catalogue, body.sha256)


def _from_form(body: Body) -> SentCatalogue:
    files = _files(body)
    if "catalogue" not in files:
        raise Invalid(
            None, Problem("field_missing", "the form has no catalogue; send one with curl: -F catalogue=@catalog.yaml", "/catalogue")
        )
    kind = "application/json" if _ending(files["catalogue"]) == ".json" else YAML[0]
    content = _whole(files["catalogue"].file_object)
    catalogue = _checked(_parsed(content, kind))
    if ("rows" in files) == isinstance(catalogue.rows, list):
        message = "the rows stand either in the catalogue or in a file beside it (-F rows=@skus.csv); send one of them"
        raise Invalid(None, Problem("field_missing", message, "/rows"))
    if "rows" not in files:
        return SentCatalogue(catalogue, hashlib.sha256(content).hexdigest())
    upload = _upload(files["rows"])
    whole = hashlib.sha256(content + b"\0" + upload.sha256.encode()).hexdigest()
    return SentCatalogue(catalogue, whole, upload)


def _files(body: Body) -> dict[str, File]:
    files: dict[str, File] = {}

    def on_field(found: Field) -> None:
        _part(found.field_name)
        raise Malformed("a form's catalogue and rows are files; send them with curl: -F catalogue=@catalog.yaml -F rows=@skus.csv")

    def on_file(found: File) -> None:
        name = _part(found.field_name)
        if name in files:
            raise Malformed(f"the form has two files {name!r}; send one")
        files[name] = found

    try:
        parse_form({"Content-Type": body.content_type.encode()}, body.file, on_field, on_file)
    except FormParserError as fault:
        raise Malformed(f"the form cannot be read: {fault}") from fault
    return files


def _part(raw: bytes | None) -> str:
    name = (raw or b"").decode("utf-8", "replace")
    if name not in PARTS:
        raise Invalid(None, Problem("unknown_field", f"the form has a part {name[:60]!r}; it takes catalogue and rows", f"/{name[:60]}"))
    return name


def _upload(sent: File) -> Upload:
    ending = _ending(sent)
    if ending not in ENDINGS:
        raise UnsupportedMedia(f"the file of rows must end in {', '.join(ENDINGS)}")
    content = sent.file_object
    content.seek(0)
    digest = hashlib.file_digest(content, "sha256").hexdigest()
    return read_upload(Body(content, MEDIA_TYPES[ENDINGS[ending]], digest, 0))


def _ending(sent: File) -> str:
    return PurePosixPath((sent.file_name or b"").decode("utf-8", "replace").lower()).suffix


def _whole(file: IO[bytes]) -> bytes:
    """A catalogue is read as one value, whatever its kind, so it is short; the rows beside it are a stream. Raises TooLarge."""
    file.seek(0, SEEK_END)
    size = file.tell()
    if size > LONGEST:
        message = (
            f"the catalogue has {size} bytes, at most {LONGEST} are read; take its rows out and send them as a file beside it:"
            " -F catalogue=@catalog.yaml -F rows=@skus.csv"
        )
        raise TooLarge(None, Problem(TooLarge.code, message, "/rows", size))
    file.seek(0)
    return file.read()


def _parsed(content: bytes, kind: str) -> Any:
    if kind in YAML:
        return read_yaml(content)
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as fault:
        raise Malformed(f"the catalogue is no valid JSON in UTF-8: {fault}", code="malformed_json") from fault


def _checked(sent: Any) -> Catalogue:
    if not isinstance(sent, dict):
        raise Invalid(None, Problem("not_an_object", f"a catalogue is an object with fields, not {type(sent).__name__}"))
    if wrong := unstorable({name: value for name, value in sent.items() if name != "rows"}):
        raise Invalid(None, Problem("invalid_value", wrong))
    try:
        catalogue = Catalogue.model_validate(sent)
    except ValidationError as fault:
        raise Invalid(None, *field_problems(fault.errors(include_url=False))) from fault
    problems = project_problems(catalogue.project) + mapping_problems(catalogue.map)
    if catalogue.retention not in RETENTION:
        message = f"retention must be one of {', '.join(RETENTION)}"
        problems.append(Problem("invalid_value", message, "/retention", catalogue.retention))
    if problems:
        raise Invalid(None, *problems)
    return catalogue
