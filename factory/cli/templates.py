"""factory templates: prompts with holes: saved, listed and exported over HTTP; checked, and taken from the market, right here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from factory.cli.exit_codes import Failed, OneLineErrors, Usage
from factory.cli.output import Json, moment, print_json, print_table

if TYPE_CHECKING:
    from factory.domain.lint_template import Finding
    from factory.domain.template_body import TemplateBody, Words

app = typer.Typer(cls=OneLineErrors, no_args_is_help=True, help="Save, list, check and export prompt templates.")
Reference = Annotated[str, typer.Argument(help="NAME, its newest version, or NAME@VERSION.")]
File = Annotated[str, typer.Argument(help="YAML or JSON; - reads standard input.")]
SEEDS = {
    "random": "by chance",
    "fixed": "always {}",
    "per_sku": "the same for every picture of a SKU in a slot",
    "per_series": "the same for a whole series",
}


@app.command("list")
def find(*, limit: Annotated[int, typer.Option(min=0, help="0 = all.")] = 50, as_json: Json = False) -> None:
    """Your templates, each in its newest version, the last saved first."""
    from factory.cli.client import connect

    with connect() as client:
        rows = list(client.pages("/templates", limit=limit))
    if as_json:
        return print_json(rows)
    cells = ([row["reference"], _title(row["body"]), row["body"].get("category"), moment(row["created_at"])] for row in rows)
    return print_table(["template", "title", "category", "saved"], cells, empty="none: `factory templates save FILE`, or see `market`")


@app.command()
def show(template: Reference, *, as_json: Json = False) -> None:
    """One version, yours or else the market's: its prompt, its variables and its settings."""
    from factory.cli.client import connect
    from factory.domain.template_body import TemplateBody

    with connect() as client:
        found = client.get(f"/templates/{template}")
    if as_json:
        return print_json(found)
    name = f"{found['reference']}, of the market" if found.get("market") else found["reference"]
    return _describe(TemplateBody.model_validate(found["body"]), name)


@app.command()
def save(file: File, *, as_json: Json = False) -> None:
    """Save a template; a name that exists gets its next version, and old versions stay as they are."""
    from factory.cli.client import connect

    content = _read(file)
    with connect() as client:
        saved = client.post("/templates", content=content, headers={"Content-Type": "application/yaml"})
    for warning in saved["warnings"]:
        typer.echo(f"warning: {warning['detail']}", err=True)
    if as_json:
        return print_json(saved)
    return typer.echo(saved["reference"])


@app.command()
def export(template: Reference, *, as_json: Json = False) -> None:
    """Write a template as YAML to standard output, to be edited and saved as the next version; JSON is read just as well."""
    from factory.cli.client import connect

    with connect() as client:
        if as_json:
            return print_json(client.get(f"/templates/{template}")["body"])
        sys.stdout.buffer.writelines(client.lines(f"/templates/{template}.yaml"))
    return None


@app.command()
def lint(file: File, *, as_json: Json = False) -> None:
    """Check a file without saving it. Exits 1 when an order by it could not work; warnings alone are no failure."""
    from factory.domain.fill_template import example_vars, fill_template
    from factory.domain.lint_template import errors_of, lint_template
    from factory.domain.read_template import read_template
    from factory.errors import Invalid

    try:
        body = read_template(_read(file))
    except Invalid as fault:
        wrong = "; ".join(problem.message for problem in fault.problems) or str(fault)
        raise Failed(f"{file}: {wrong}") from fault
    findings = lint_template(body)
    _show_findings(findings, as_json=as_json)
    if errors_of(findings):
        raise Failed(f"{file}: {len(errors_of(findings))} of {len(findings)} findings are errors")
    if not as_json:
        try:
            typer.echo(f"ok: {fill_template(body, example_vars(body))}")
        except Invalid:
            typer.echo("ok")


@app.command()
def market(
    name: Annotated[str | None, typer.Argument(help="Print this one as YAML.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """The templates that come with the factory. Order by their names; save a changed one to make it yours."""
    from factory.domain.fill_template import example_vars, fill_template
    from factory.domain.read_template import write_template
    from factory.market import load_market, market_template

    if name is not None:
        body = market_template(name)
        if body is None:
            raise Usage(f"the market has no template {name!r}; `factory templates market` lists them")
        if as_json:
            return print_json(body.as_json())
        return typer.echo(write_template(body), nl=False)
    bodies = load_market()
    if as_json:
        return print_json([body.as_json() for body in bodies])
    cells = ([body.name, _title(body.as_json()), body.category, fill_template(body, example_vars(body))] for body in bodies)
    return print_table(["template", "title", "category", "its example"], cells)


def _read(file: str) -> bytes:
    from factory.domain.read_template import LARGEST

    try:
        if file == "-":
            return sys.stdin.buffer.read(LARGEST + 1)
        with Path(file).open("rb") as stream:
            return stream.read(LARGEST + 1)
    except OSError as fault:
        raise Usage(f"cannot read {file}: {fault.strerror}") from fault


def _title(body: dict[str, Any]) -> str:
    return " · ".join(text for text in (body["title"].get("zh"), body["title"].get("en")) if text)


def _show_findings(findings: list[Finding], *, as_json: bool) -> None:
    if as_json:
        print_json([finding.as_dict() for finding in findings])
    elif findings:
        print_table(["", "where", "what"], ([each.level, each.problem.pointer, each.problem.message] for each in findings))


def _words(title: Words | None) -> str | None:
    return " · ".join(text for text in (title.zh, title.en) if text) if title else None


def _describe(body: TemplateBody, reference: str) -> None:
    said = body.as_json()
    fields: list[list[Any]] = [["template", reference], ["title", _title(said)], ["prompt", body.prompt]]
    fields += [[name, said[name]] for name in ("category", "model", "width", "height") if name in said]
    fields += [["loras", ", ".join(f"{lora.name}:{lora.scale:g}" for lora in body.loras) or None]]
    fields += [["seed", SEEDS[body.seed.policy].format(body.seed.value)], ["label_profile", body.label_profile]]
    print_table(["", ""], (row for row in fields if row[1] is not None))
    cells = (
        [name, _words(each.title), each.type, ", ".join(map(str, each.allowed)) or None, each.default, each.example]
        for name, each in body.variables.items()
    )
    print_table(["variable", "title", "type", "allowed", "default", "example"], cells, empty="no variables")
