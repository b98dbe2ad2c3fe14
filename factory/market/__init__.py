"""The market: templates that come with the factory, each with a picture of its example order. To add one: a YAML file and its sample."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from factory.domain.lint_template import errors_of, lint_template
from factory.domain.read_template import read_template
from factory.domain.template_body import TemplateBody
from factory.errors import Invalid

SHELF = Path(__file__).parent
SAMPLES = SHELF / "samples"


@lru_cache(maxsize=1)
def _shelf() -> dict[str, TemplateBody]:
    found = {}
    for file in sorted(SHELF.glob("*.yaml")):
        body = read_template(file.read_bytes())
        if body.name != file.stem:
            raise Invalid(f"market template {file.name} calls itself {body.name!r}; a file is named as its template")
        if wrong := errors_of(lint_template(body)):
            raise Invalid(f"market template {file.name}: {wrong[0].message}", *wrong)
        found[body.name] = body
    return found


def load_market() -> list[TemplateBody]:
    """All of them, by name. Raises Invalid for a file that is no template: then the package is broken."""
    return list(_shelf().values())


def market_template(name: str) -> TemplateBody | None:
    """The one called `name`."""
    return _shelf().get(name)


def sample_file(name: str) -> Path | None:
    """A JPEG of the example order, drawn by the demo checkpoint; None where there is none."""
    file = SAMPLES / f"{name}.jpg"
    return file if name in _shelf() and file.is_file() else None
