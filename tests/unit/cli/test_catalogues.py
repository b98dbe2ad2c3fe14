"""What `factory plan` and `factory apply` send: the catalogue, and the file of rows that it names, found beside it; and what they show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from factory.cli.catalogues import _parts
from factory.cli.exit_codes import Usage
from factory.cli.show_plan import SHOWN, show_plan


def write(folder: Path, text: str, name: str = "catalog.yaml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_the_rows_file_is_looked_for_beside_the_catalogue(tmp_path: Path) -> None:
    (tmp_path / "表").mkdir()
    (tmp_path / "表" / "商品.csv").write_bytes("货号\n杯".encode("gbk"))
    with _parts(write(tmp_path, "name: a\nrows: 表/商品.csv\n")) as files:
        assert files["catalogue"] == ("catalog.yaml", "name: a\nrows: 表/商品.csv\n".encode())
        name, rows = files["rows"]
        assert (name, rows.read()) == ("商品.csv", "货号\n杯".encode("gbk"))
    assert rows.closed


@pytest.mark.parametrize(("text", "name"), [("name: a\nrows: [{sku: A}]\n", "c.yaml"), ('{"name": "a", "rows": [{"sku": "A"}]}', "c.json")])
def test_rows_in_the_catalogue_need_no_file(tmp_path: Path, text: str, name: str) -> None:
    with _parts(write(tmp_path, text, name)) as files:
        assert list(files) == ["catalogue"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: a\nrows: missing.csv\n", r"missing\.csv: No such file"),
        ("name: a\nrows: ../rows.csv\n", "not beside"),
        ("name: a\nrows: /etc/hostname\n", "not beside"),
        ("a: &x 1\nb: *x\n", r"catalog\.yaml: .*aliases"),
        ("a: [1", r"catalog\.yaml: "),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(Usage, match=says), _parts(write(tmp_path, text)):
        pass
    with pytest.raises(Usage, match="nowhere"), _parts(tmp_path / "nowhere.yaml"):
        pass


def cell(number: int, state: str, *, cells: int = 1, detail: str = "") -> dict[str, Any]:
    why = [{"detail": detail}] if detail else []
    return {"row": number, "cell": f"S{number}|main|||1" if cells == 1 else None, "cells": cells, "state": state, "why": why}


def planned(*cells: dict[str, Any], present: int = 0) -> dict[str, Any]:
    counts = {"present": present, "in_work": 0, "missing": 0, "stale": 0, "blocked": 0}
    for each in cells:
        counts[each["state"]] += each["cells"]
    return {"name": "autumn", "images": sum(counts.values()), "counts": counts, "cells": list(cells), "warnings": []}


def test_every_cell_that_is_not_present_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    show_plan(planned(cell(1, "in_work"), cell(2, "missing"), cell(3, "blocked", cells=2, detail="no sku"), present=7))
    said = capsys.readouterr()
    assert "autumn: 11 pictures" in said.out
    listed = [words for line in said.out.splitlines() if (words := line.split()) and words[0] in {"1", "2", "3"}]
    assert listed == [["3", "–", "blocked", "no", "sku"], ["2", "S2|main|||1", "missing", "–"], ["1", "S1|main|||1", "in_work", "–"]]
    assert said.err == ""


def test_how_many_more_there_are_counts_all_cells(capsys: pytest.CaptureFixture[str]) -> None:
    show_plan(planned(*(cell(number, "missing") for number in range(SHOWN + 5)), cell(99, "blocked", cells=3, detail="no sku")))
    said = capsys.readouterr()
    assert "no sku" in said.out
    # Three pictures of the blocked row and nineteen others are shown.
    assert said.err == "… and 6 more; --json lists the first thousand\n"
