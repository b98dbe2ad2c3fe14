"""The error tree is the retry policy: the branch decides what happens to the job.

FactoryError
├── Refused                 a rule said no                      → job `rejected`, never retried
├── Invalid                 the request itself is wrong         → the API answers 4xx, no job
│   ├── Malformed  UnsupportedMedia  NotFound  Conflict  Unauthorized  Forbidden  TooLarge  QueueFull
├── Permanent               trying again cannot help            → job `failed`
│   └── BadCheckpoint  BadLora  BadPicture
├── Transient               trying again may help               → requeued with backoff and jitter
│   └── StorageDown  DatabaseDown
├── Capacity                another worker may manage           → requeued, this worker avoided
│   └── OutOfVram
└── Stop                    this attempt no longer counts       → nothing is written
    └── LeaseLost
"""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, field
from typing import Any

LONGEST_SHOWN = 80
EXACT = 2**53  # beyond it JSON numbers do not mean the same to every reader


class FactoryError(Exception):
    """Something went wrong in the factory."""

    code = "factory_error"

    def __init__(self, message: str | None = None, **detail: Any) -> None:
        doc = (self.__doc__ or "").strip().splitlines()
        super().__init__(message or (doc[0] if doc else type(self).__name__))
        self.detail = detail


class Refused(FactoryError):
    """A rule refused this request. Change the named text and order again."""

    code = "refused"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a request.

    `pointer` is a JSON pointer (RFC 6901) to the field; `value` is what was sent, shortened.
    """

    code: str
    message: str
    pointer: str = ""
    value: Any = None
    extra: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"code": self.code, "detail": self.message, "pointer": self.pointer, "value": _shown(self.value), **self.extra}


def _shown(value: Any) -> Any:
    """A value as any JSON writer and reader takes it: numbers that are not exact become texts, texts are shortened."""
    if value is None or isinstance(value, bool) or (isinstance(value, int | float) and abs(value) <= EXACT):
        return value
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a number of {value.bit_length()} bits"
    text = (value if isinstance(value, str) else reprlib.repr(value)).encode("utf-8", "replace").decode()
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."


class Invalid(FactoryError):
    """The request is not valid."""

    code = "invalid_request"

    def __init__(self, message: str | None = None, *problems: Problem, code: str | None = None, **detail: Any) -> None:
        super().__init__(message or (problems[0].message if problems else None), **detail)
        self.problems = problems
        if code or problems:
            self.code = code or problems[0].code


class Malformed(Invalid):
    """The body cannot be read at all."""

    code = "malformed_body"


class UnsupportedMedia(Invalid):
    """The body is of a kind that is not understood here."""

    code = "unsupported_media_type"


class NotFound(Invalid):
    """Nothing with this id belongs to your tenant."""

    code = "not_found"


class Conflict(Invalid):
    """The request conflicts with the present state."""

    code = "conflict"


class Unauthorized(Invalid):
    """No valid API key. Send `Authorization: Bearer <key>`; create one with `factory keys create`."""

    code = "unauthorized"


class Forbidden(Invalid):
    """The API key lacks the scope for this."""

    code = "forbidden"


class TooLarge(Invalid):
    """The body is larger than the limit. Split the order."""

    code = "body_too_large"


class QueueFull(Invalid):
    """Your queue is full. Come back later."""

    code = "queue_full"


class Permanent(FactoryError):
    """This job cannot succeed as ordered."""

    code = "permanent"


class BadCheckpoint(Permanent):
    """The checkpoint is incomplete, or not the files that were ordered."""

    code = "bad_checkpoint"


class BadLora(Permanent):
    """The LoRA does not fit the checkpoint, or is not the file that was ordered."""

    code = "bad_lora"


class BadPicture(Permanent):
    """The engine drew something that is no picture (not finite, flat, or of the wrong size)."""

    code = "bad_picture"


class Transient(FactoryError):
    """A passing fault."""

    code = "transient"


class StorageDown(Transient):
    """The object storage did not take the file."""

    code = "storage_down"


class DatabaseDown(Transient):
    """The database did not answer."""

    code = "database_down"


class Capacity(FactoryError):
    """This worker cannot hold the job."""

    code = "capacity"


class OutOfVram(Capacity):
    """The GPU memory does not suffice for this job on this worker."""

    code = "out_of_vram"


class Stop(FactoryError):
    """This attempt no longer counts."""

    code = "stop"


class LeaseLost(Stop):
    """The job was canceled or given to another worker; what this one drew is dropped."""

    code = "lease_lost"
