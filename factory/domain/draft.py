"""Draft: a picture that has not left the factory. Picture: what an engine hands over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from factory.domain.generation_spec import GenerationSpec

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """What an engine drew: `pixels` is height × width × 3, uint8, RGB, C-contiguous.

    `evaluations` counts the transformer calls that really ran. `facts` holds engine, device and library versions.
    `seconds` maps a stage (load, encode, denoise, decode) to wall seconds.
    """

    pixels: Pixels
    evaluations: int
    seconds: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Draft:
    """A picture on its way through the chain. Steps replace `pixels` or `content` and add `facts`; they do no I/O.

    `produce_id` is the UUIDv7 of the job, the only identity that is ever written into a file. `tenant` chooses its styles.
    `content` is None until the picture is encoded; after that steps work on bytes and `pixels` no longer counts.
    """

    spec: GenerationSpec
    pixels: Pixels
    produce_id: str
    tenant: str = ""
    content: bytes | None = None
    media_type: str = "image/png"
    sha256: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
