"""Off-peak windows: the hours in which nobody minds what is drawn, as an operator writes them: `22:00-08:00`, several with commas."""

from __future__ import annotations

import re
from datetime import datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

WINDOW = re.compile(r"(\d{1,2}):(\d{2})\s*[-–~]\s*(\d{1,2}):(\d{2})")
Window = tuple[time, time]


def is_offpeak(moment: datetime, windows: str, zone: str) -> bool:
    """Whether `moment` lies in a window of this time zone. One that ends before it begins goes on after midnight.

    Without any window there is nothing to wait for: always. Raises ValueError that names what cannot be read.
    """
    clock = moment.astimezone(_zone(zone)).time()
    read = read_windows(windows)
    return not read or any(begin <= clock < end if begin < end else clock >= begin or clock < end for begin, end in read)


@lru_cache(maxsize=64)
def read_windows(windows: str) -> tuple[Window, ...]:
    """Each window as begin and end; `24:00` is midnight. Raises ValueError that names the value."""
    texts = [text.strip() for text in windows.replace("，", ",").split(",")]
    return tuple(_window(text) for text in texts if text)


def _window(text: str) -> Window:
    match = WINDOW.fullmatch(text)
    if match is None:
        raise ValueError(f"off-peak window {text!r} must look like 22:00-08:00")
    begin, end = _time(match[1], match[2], text), _time(match[3], match[4], text)
    if begin == end and match[3] != "24":
        raise ValueError(f"off-peak window {text!r} begins when it ends; for the whole day write 00:00-24:00")
    return begin, end


def _time(hour: str, minute: str, text: str) -> time:
    if int(hour) == 24 and int(minute) == 0:
        return time(0)
    try:
        return time(int(hour), int(minute))
    except ValueError as fault:
        raise ValueError(f"off-peak window {text!r} holds {hour}:{minute}, which is no time of day") from fault


@lru_cache(maxsize=8)
def _zone(zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as fault:
        raise ValueError(f"time zone {zone!r} is unknown; write one like Asia/Shanghai") from fault
