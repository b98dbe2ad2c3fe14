"""What `factory plan` and `factory apply` send: the catalogue, and the file of rows that it names, found beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.cli.catalogues import _parts
from factory.cli.exit_codes import Usage


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
        ("a: &x 1\nb: *x\n", r"catalog\.yaml: .*aliases"),
        ("a: [1", r"catalog\.yaml: "),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(Usage, match=says), _parts(write(tmp_path, text)):
        pass
    with pytest.raises(Usage, match="nowhere"), _parts(tmp_path / "nowhere.yaml"):
        pass
