"""Checks of this machine: Python, disk, data folder, ports, fonts, torch and its card."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from factory.cli.checkup.finding import Sick, Unasked
from factory.embedded.ports import is_free
from factory.settings import Settings

OLDEST = (3, 11)
LEAST_FREE, SHORT_OF = 1 << 30, 10 << 30
# In a process of its own: importing torch takes seconds and gigabytes, and a broken driver may crash it.
ASK_TORCH = """
import json, torch
cuda = torch.cuda.is_available()
seen = {"version": torch.__version__, "cuda": cuda}
if cuda:
    free, total = torch.cuda.mem_get_info()
    seen |= {"name": torch.cuda.get_device_name(), "bf16": torch.cuda.is_bf16_supported(), "free": free, "total": total}
print(json.dumps(seen))
"""


def python() -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST:
        raise Sick(f"Python {version}", "install Python 3.11 or newer")
    return f"Python {version}"


def data_folder(settings: Settings) -> str:
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"probe")
    except OSError as fault:
        raise Sick(f"{folder}: {fault.strerror}", "make the folder writable for this user, or set FACTORY_DATA_DIR to another") from fault
    return str(folder.resolve())


def disk(settings: Settings) -> str:
    place = next(each for each in (settings.data_dir.resolve(), *settings.data_dir.resolve().parents) if each.exists())
    free = shutil.disk_usage(place).free
    words = f"{free / 1e9:.1f} GB free at {place}"
    if free < LEAST_FREE:
        raise Sick(words, "free some space, or set FACTORY_DATA_DIR to a larger disk: spooled pictures and logs need it")
    if free < SHORT_OF:
        raise Sick(words, "free some space soon", serious=False)
    return words


def ports(settings: Settings) -> str:
    """Each port is free, or it is one of ours that answers there."""
    api = urlsplit(settings.public_url)
    seen = []
    if api.hostname in {"127.0.0.1", "localhost"} and api.port:
        seen.append(_port("API", api.port, f"http://127.0.0.1:{api.port}/healthz", {200}))
    seen.append(_port("Flower", settings.flower_port, f"http://127.0.0.1:{settings.flower_port}/", {401}))
    return ", ".join(seen)


def _port(name: str, port: int, url: str, answers: set[int]) -> str:
    if is_free(port):
        return f"{name} {port} free"
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:  # noqa: S310
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    except OSError:
        status = 0
    if status not in answers:
        variable = "FACTORY_FLOWER_PORT" if name == "Flower" else "FACTORY_PUBLIC_URL and --port"
        raise Sick(f"port {port} for {name} is taken by another program", f"stop that program, or choose another port ({variable})")
    return f"{name} {port} ours"


def fonts() -> str:
    from PIL import ImageFont

    from factory.postprocess.plate import LABEL_FONT, font_characters

    known = font_characters(LABEL_FONT) or frozenset()
    ImageFont.truetype(str(LABEL_FONT), 16)
    if not set("AI生成人工智能") <= known:
        raise Sick(f"{LABEL_FONT.name} lacks characters of the AI label", "install the package again: its fonts folder is damaged")
    return f"{LABEL_FONT.name}, {len(known)} characters"


def torch() -> str:
    asked = subprocess.run([sys.executable, "-c", ASK_TORCH], capture_output=True, text=True, timeout=120, check=False, env=_quiet())
    if asked.returncode:
        reason = (asked.stderr.strip() or "it ended without a word").splitlines()[-1]
        if "No module named" in reason:
            raise Unasked("torch is not installed: this node draws with the simulated engine, or not at all")
        raise Sick(f"torch does not load: {reason}", "install it again: FACTORY_TORCH=cpu or cuda, then `make up`")
    seen = json.loads(asked.stdout.strip().splitlines()[-1])
    if not seen["cuda"]:
        return f"torch {seen['version']}, no CUDA card: pictures are drawn on the CPU"
    words = f"torch {seen['version']}, {seen['name']}, {seen['free'] / 1e9:.0f} of {seen['total'] / 1e9:.0f} GB free"
    if not seen["bf16"]:
        raise Sick(f"{words}, no bfloat16", "use a card of compute capability 8.0 or newer")
    return f"{words}, bfloat16"


def _quiet() -> dict[str, str]:
    return {**os.environ, "PYTHONWARNINGS": "ignore"}
