"""SPEC section 3.1: which epoch a proof takes. Arithmetic only."""

from typing import Final

from .keys import Schedule
from .tree import LAST_EPOCH

_MAX_STRIDE: Final = 31


class ProofEpochs:
    """What refusals said. Nothing authenticates a refusal, so this is in memory alone, and an ack ends it."""

    __slots__ = ("_floor", "_stride")

    def __init__(self) -> None:
        # The least epoch that the last refusal left, and how far beyond the one that it names the next one leads.
        self._floor, self._stride = 0, 0

    def next(self, acknowledged: int, acks: int, schedule: Schedule, server_time: int) -> int:
        """`acks` came in the epoch `acknowledged`, the last; `server_time` is the challenge's."""
        own = acknowledged + schedule.is_spent(acks)
        return min(max(own, self._floor, schedule.due(server_time)), LAST_EPOCH)

    def refused_as_spent(self, epoch: int, named: int) -> None:
        """`epoch-spent` for a proof of `epoch`. Another holder may be taking each epoch just before: hence 0, 1, 3, 7, 15, 31."""
        if epoch < self._floor:
            # The attempt did not take the epoch that was named before.
            self._floor = max(self._floor, min(named, LAST_EPOCH))
            return
        self._floor = min(max(named, epoch + 1) + self._stride, LAST_EPOCH)
        self._stride = min(2 * self._stride + 1, _MAX_STRIDE)

    def forget(self) -> None:
        """An ack came, or `epoch-ahead`."""
        self._floor, self._stride = 0, 0
