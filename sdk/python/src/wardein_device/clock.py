"""SPEC section 3.1: the device's clocks, of which none need be right."""

import time
from typing import Protocol


class Clock(Protocol):
    """Both in whole seconds."""

    def wall(self) -> int:
        """Unix time, or 0 where there is no clock. It may be wrong by years."""
        ...

    def elapsed(self) -> int:
        """Counted from any moment; it never goes back while the process lives."""
        ...


class SystemClock:
    def wall(self) -> int:
        return max(0, int(time.time()))

    def elapsed(self) -> int:
        # It counts while the device sleeps as well, where the system has such a clock.
        clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        return int(time.clock_gettime(clock))


class KnownTime:
    """The last acknowledged server_time, and what was counted since."""

    __slots__ = ("_clock", "_since", "_acked")

    def __init__(self, clock: Clock, acked: int) -> None:
        self._clock, self._acked, self._since = clock, acked, clock.elapsed()

    def now(self) -> int:
        return self._acked + self._clock.elapsed() - self._since

    def latest(self) -> int:
        """For data and files: the later of known time and wall clock."""
        return max(self.now(), self._clock.wall())
