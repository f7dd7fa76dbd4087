"""What all closed words have in common."""

from enum import IntEnum
from typing import Self


class Word(IntEnum):
    """A closed word. A value of a later release has the name UNRECOGNIZED_ and its number, and equals none of those that are known."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int):
            return None
        # Not remembered by the class: what comes from the network does not make it grow.
        unknown = int.__new__(cls, value)
        unknown._name_ = f"UNRECOGNIZED_{value}"
        unknown._value_ = value
        return unknown

    def __str__(self) -> str:
        """As people read it: `not trusted`."""
        return self.name.lower().replace("_", " ")
