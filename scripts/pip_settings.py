"""What pip would use here (pip.conf and PIP_*), as arguments for uv, which reads neither."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class PipSettings:
    """`indexes` and `find_links` are uv arguments; `env` holds certificates and proxy; `warnings` are for people."""

    indexes: list[str] = field(default_factory=list)
    find_links: list[str] = field(default_factory=list)
    cache: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def wheel_folders(self) -> Iterator[Path]:
        """The find-links entries that are folders on this machine."""
        for argument in self.find_links[1::2]:
            folder = local_path(argument)
            if folder and folder.is_dir():
                yield folder


def local_path(entry: str) -> Path | None:
    """A file URL or a plain path as a Path; None for anything on a network."""
    if entry.startswith("file:"):
        return Path(unquote(urlsplit(entry).path))
    return None if "://" in entry else Path(entry).expanduser()


def read(python: Path) -> PipSettings:
    """Ask the pip of `python`, else of the Python that runs this; without either, PIP_* is all there is."""
    pairs: list[tuple[str, str]] = []
    for asked in (str(python), sys.executable):
        done = subprocess.run([asked, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            pairs += _pairs(done.stdout)
            break
    pairs += [(f":env:.{name[4:].lower().replace('_', '-')}", value) for name, value in os.environ.items() if name.startswith("PIP_")]
    return translate(pairs)


def _pairs(listing: str) -> Iterator[tuple[str, str]]:
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        try:
            yield key.strip(), str(ast.literal_eval(value))
        except (SyntaxError, ValueError):
            continue


def translate(pairs: list[tuple[str, str]]) -> PipSettings:
    """`pairs` are pip's own (`global.index-url`, value); PIP_* beats `install.` beats `global.`, as in pip."""
    rank = {"global": 0, "install": 1, ":env:": 2}
    named = [(*key.rpartition(".")[::2], value) for key, value in pairs]
    counted = sorted((entry for entry in named if entry[0] in rank), key=lambda entry: rank[entry[0]])
    chosen = {name: value for _, name, value in counted}
    settings = PipSettings()
    settings.find_links = _existing(chosen, "find-links", settings.warnings)
    if chosen.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
        settings.indexes = ["--no-index"]
    elif not any(name in os.environ for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX")):
        # pip weighs all indexes alike; safe for the locks because their hashes name the very files.
        settings.indexes = ["--index-strategy", "unsafe-best-match"]
        if "index-url" in chosen:
            settings.indexes += ["--index-url", chosen["index-url"]]
        settings.indexes += _existing(chosen, "extra-index-url", settings.warnings)
    for host in re.split(r"\s+", chosen.get("trusted-host", "").strip()):
        settings.indexes += ["--allow-insecure-host", host] if host else []
    for name, variable in (("cert", "SSL_CERT_FILE"), ("proxy", "ALL_PROXY"), ("default-timeout", "UV_HTTP_TIMEOUT")):
        if name in chosen and variable not in os.environ:
            settings.env[variable] = chosen[name]
    if not os.access(os.environ.get("HOME", "/"), os.W_OK) and not os.environ.keys() & {"UV_CACHE_DIR", "XDG_CACHE_HOME"}:
        settings.cache = ["--no-cache"]  # a service user without a home
    return settings


def _existing(chosen: dict[str, str], name: str, warnings: list[str]) -> list[str]:
    """`--name value` for each entry; a local one that is not there is only worth a warning."""
    arguments: list[str] = []
    for entry in chosen.get(name, "").split():
        path = local_path(entry)
        if path is not None and not path.exists():
            warnings.append(f"pip's configuration names {name} {entry}, which does not exist: left out")
        else:
            arguments += [f"--{name}", entry]
    return arguments
