"""A failed acknowledgement must not eat the prefetch slot, and an entry that is no message must not stop the others' return.

kombu's Redis transport raises out of `ack` before it frees the slot; with a prefetch of one, such a worker stays up,
answers pings and never consumes again. The message that was not acknowledged comes back after the visibility timeout,
where the claim makes it a no-op.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis as redis_transport
from kombu.transport import virtual

from factory.logs import get_logger

log = get_logger(__name__)


class SafeQoS(redis_transport.QoS):
    """Frees the slot whatever Redis answers; drops what cannot be restored."""

    def ack(self, delivery_tag: Any) -> None:
        try:
            self._remove_from_indices(delivery_tag).execute()
        finally:
            virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: Any, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu calls it so
        try:
            if requeue:
                self.restore_by_tag(delivery_tag, leftmost=True)
            else:
                self._remove_from_indices(delivery_tag).execute()
        finally:
            virtual.QoS.ack(self, delivery_tag)

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu calls it so
        try:
            super().restore_by_tag(tag, client, leftmost)
        except (TypeError, ValueError):
            log.warning("unacknowledged entry dropped: no message")
            self._remove_from_indices(tag).execute()


def install() -> None:
    redis_transport.Channel.QoS = SafeQoS
