"""How a running stack is reached, as rows of a panel."""

from __future__ import annotations

from typing import Any

ENGINE_WORDS = {
    "zimage": "zimage, with a small demo checkpoint of random weights: the pictures are noise",
    "simulated": "simulated: it draws cards with the prompt on them, because torch is not installed or not wanted",
}


def addresses(facts: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("API", f"{facts['url']}  (description: {facts['url']}/api/v1/openapi.json)"),
        ("API key", f"{facts['key_file']}  (tenant demo)"),
        ("Flower", f"{facts['flower_url']}  user {facts['flower_user']}  password {facts['flower_password']}"),
    ]
