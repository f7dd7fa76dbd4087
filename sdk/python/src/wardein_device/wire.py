"""Reading bytes from outside: each is bounded, and read once."""

from collections.abc import Callable

from .errors import Malformed
from .primitives import MAX_U64


class Reader:
    """Reads fields in order. `end` refuses what is left."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes, kind: int | None = None) -> None:
        self._data, self._at = data, 0
        if kind is not None and self.number("kind", 1) != kind:
            raise Malformed("kind", f"is not {kind}")

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._data)

    @property
    def at(self) -> int:
        """How many bytes were read."""
        return self._at

    def rest(self) -> bytes:
        """All that is left, which is read with it."""
        return self.take("rest", len(self._data) - self._at)

    def take(self, field: str, length: int) -> bytes:
        if len(self._data) - self._at < length:
            raise Malformed(field, "is cut short")
        self._at += length
        return self._data[self._at - length : self._at]

    def number(self, field: str, length: int, least: int = 0, most: int = MAX_U64) -> int:
        number = int.from_bytes(self.take(field, length), "big")
        if not least <= number <= most:
            raise Malformed(field, f"is not {least} to {most}")
        return number

    def framed(self, field: str, least: int, most: int) -> bytes:
        length = self.number(field, 4)
        # Judged before anything is taken.
        if not least <= length <= most:
            raise Malformed(field, f"has not {least} to {most} bytes")
        return self.take(field, length)

    def text(self, field: str, most: int, check: Callable[[str], str]) -> str:
        try:
            return check(self.framed(field, 0, most).decode())
        except UnicodeDecodeError:
            raise Malformed(field, "is not UTF-8") from None

    def end(self, message: str) -> None:
        if not self.is_at_end:
            raise Malformed(message, "has bytes after its end")
