"""forget_frames: an error that somebody keeps must not keep the weights that its traceback saw."""

from __future__ import annotations

import traceback


def forget_frames(error: BaseException) -> None:
    """Clear the locals of all finished frames of `error`, its causes and contexts; line numbers stay.

    What a closure holds is beyond reach: a frame keeps its function. So nothing on the way to the card is a closure over weights.
    """
    seen: set[int] = set()
    chain: list[BaseException | None] = [error]
    while chain:
        link = chain.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            traceback.clear_frames(link.__traceback__)
            chain += [link.__cause__, link.__context__]
