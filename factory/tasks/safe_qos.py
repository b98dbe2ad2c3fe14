"""A failed acknowledgement must not eat the prefetch slot.

kombu's Redis transport raises out of `ack` before it frees the slot; with a prefetch of one, such a worker stays up,
answers pings and never consumes again. The message that was not acknowledged comes back after the visibility timeout,
where the claim makes it a no-op.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis as redis_transport
from kombu.transport import virtual


class SafeQoS(redis_transport.QoS):
    """Frees the slot whatever Redis answers."""

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


def install() -> None:
    redis_transport.Channel.QoS = SafeQoS
