"""factory demo: a stack of its own draws demo/skus.csv, shows what came out, and is gone."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from factory.cli.exit_codes import Failed
from factory.cli.home import ROOT, Home, home
from factory.cli.output import Json, print_json
from factory.cli.show_panel import show_panel

if TYPE_CHECKING:
    from factory.cli.client import Client
    from factory.cli.running_stack import RunningStack

PATIENCE = 240.0
ROWS = ROOT / "demo" / "skus.csv"


def demo(
    file: Annotated[Path, typer.Argument(help="Rows to draw: CSV, JSON or NDJSON.")] = ROWS,
    *,
    out: Annotated[Path, typer.Option(help="Folder for pictures, contact sheet and audit records.")] = Path("out"),
    as_json: Json = False,
) -> None:
    """Draw the demo catalogue from order to audit record on a fresh stack, then stop it."""
    from factory.cli.narrator import narrator
    from factory.cli.running_stack import RunningStack
    from factory.cli.signals import ToldToStop, told_to_stop

    say = narrator()
    with told_to_stop():
        running = RunningStack(_fresh(home().folder / "demo"), say=say)
        try:
            began = time.monotonic()
            say("starting Valkey, Postgres, API, workers, beat and Flower …")
            running.start()
            say(f"the factory runs at {running.url}; ordering {file.name}")
            summary = _order(running, file, out.resolve(), say)
            summary["seconds"] = round(time.monotonic() - began, 1)
            print_json(summary) if as_json else _show(summary)
        except ToldToStop as told:
            say(f"{told}: stopping in order …")
            raise typer.Exit(told.exit_code) from None
        finally:
            running.stop()
            say("stopped; no process is left")
    if not summary["complete"]:
        raise Failed(f"not every picture was delivered and logged: {summary['counts']}, rows refused: {summary['rows_refused']}")


def _fresh(folder: Path) -> Home:
    """The last demo's data goes, unless that demo still runs."""
    from factory.embedded.folder import FolderInUse, lock_folder, private_folder

    try:
        lock = lock_folder(private_folder(folder), seconds=0)
    except FolderInUse:
        raise Failed(f"another demo runs in {folder}: wait for it, or set FACTORY_HOME to another folder") from None
    for each in folder.iterdir():
        if each.name != "lock":
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    os.close(lock)
    return Home(folder)


def _order(running: RunningStack, file: Path, out: Path, say: Callable[[str], None]) -> dict[str, Any]:
    from factory.cli.client import Client
    from factory.cli.contact_sheet import contact_sheet
    from factory.cli.order_file import media_type
    from factory.cli.progress import follow

    with Client(running.url, running.key) as client:
        content = file.read_bytes()
        batch = client.post(
            "/batches", params={"project": file.stem}, content=content, headers={"Content-Type": media_type(file.name, content)}
        )
        batch = follow(client, [batch["id"]], meanwhile=running.stack.tend, patience=PATIENCE)[0]
        jobs = list(client.pages(f"/batches/{batch['id']}/jobs", limit=0, status="succeeded"))[::-1]
        pictures = [(client.save(job, out / "pictures"), job) for job in jobs]
        say(f"downloaded {len(pictures)} pictures to {out / 'pictures'}")
        sheet = contact_sheet([(picture, job["sku"] or job["id"][:8]) for picture, job in pictures], out / "contact_sheet.png")
        return _summary(client, batch, pictures, out, sheet) | {"running": running.facts()}


def _summary(client: Client, batch: dict[str, Any], pictures: list[tuple[Path, dict[str, Any]]], out: Path, sheet: Path) -> dict[str, Any]:
    records = list(client.pages("/audit/records", limit=0, batch=batch["id"]))
    events = list(client.pages("/audit/events", limit=0, batch=batch["id"]))
    log = out / "audit.jsonl"
    log.write_bytes(b"".join(client.lines("/audit/export", batch=batch["id"])))
    delivered = {job["asset"]["sha256"] for _, job in pictures}
    return {
        "batch": batch["id"],
        "counts": batch["counts"],
        "rows_refused": batch["rows_refused"],
        "complete": batch["status"] == "completed" and delivered == {record["asset_sha256"] for record in records},
        "pictures": str(out / "pictures"),
        "contact_sheet": str(sheet),
        "audit_log": str(log),
        "records": len(records),
        "events": len(events),
        "checkpoints": sorted({f"{record['checkpoint']} {record['checkpoint_sha256']}" for record in records}),
        "policies": sorted({record["policy_version"] for record in records}),
        "label_profiles": sorted({record["label_profile"] for record in records}),
        "seeds": sorted({int(record["seed"]) for record in records}),
        "evaluations": sorted({record["evaluations"] for record in records}),
    }


def _show(summary: dict[str, Any]) -> None:
    from factory.cli.addresses import ENGINE_WORDS, addresses, near

    facts = summary["running"]
    counts = ", ".join(f"{count} {name}" for name, count in summary["counts"].items() if count)
    seeds = summary["seeds"]
    show_panel(
        f"{summary['records']} pictures in {summary['seconds']:.0f} s",
        [
            ("Pictures", near(summary["pictures"])),
            ("Contact sheet", near(summary["contact_sheet"])),
            ("", ""),
            ("Batch", f"{summary['batch']}, {counts}"),
            ("Audit", f"{summary['records']} records in {near(summary['audit_log'])}, {summary['events']} events"),
            ("Checkpoint", ", ".join(name[:24] + "…" for name in summary["checkpoints"])),
            ("Policy", f"{', '.join(summary['policies'])}, labels {', '.join(summary['label_profiles'])}"),
            ("Seeds", f"{seeds[0]} … {seeds[-1]}, {len(seeds)} different" if seeds else "none"),
            ("Engine", ENGINE_WORDS[facts["engine"]]),
            ("", ""),
            *((name, value) for name, value in addresses(facts) if name not in {"API key", "For curl"}),
        ],
        subtitle="these addresses end with the demo; `make up` stays",
    )
