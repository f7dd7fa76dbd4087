"""A moment by two clocks."""

import time
from typing import NamedTuple, Self


class Moment(NamedTuple):
    """A moment by the machine's steady and by its wall clock, in seconds."""

    steady: float
    wall: float

    @classmethod
    def now(cls) -> Self:
        """This one."""
        return cls(time.monotonic(), time.time())

    def age(self) -> float:
        """How many seconds ago it was, by the clock by which it is longer: the steady one may stand still while a machine sleeps, and the
        wall clock may be set back."""
        return max(time.monotonic() - self[0], time.time() - self[1])

    def later(self, by: float) -> "Moment":
        """So many seconds later, and now at the latest."""
        now = Moment.now()
        return Moment(min(self.steady + by, now.steady), min(self.wall + by, now.wall))

    def newest(self, other: "Moment") -> "Moment":
        """The later of the two, by each clock."""
        return Moment(max(self.steady, other.steady), max(self.wall, other.wall))
