"""The state on disk: a message leaves only after the state that it needs is durable (SPEC sections 3, 6 and 9)."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from .errors import StateError
from .state import MAX_LENGTH

_STATE: Final = "state.json"
_NEXT: Final = "state.json.new"
_LOCK: Final = "lock"


class Store:
    """A directory of one device, of one process at a time, and readable by its owner only. POSIX."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._path = Path(directory)
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Locked before the state is read: two processes that go on from one state are a clone (section 5).
        self._lock = os.open(self._path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise StateError(f"{self._path} is in use by another process") from None

    def load(self) -> bytes | None:
        """What was saved last; `None` before a first enrollment."""
        try:
            with open(self._path / _STATE, "rb") as file:
                data = file.read(MAX_LENGTH + 1)
        except FileNotFoundError:
            return None
        if len(data) > MAX_LENGTH:
            raise StateError(f"{self._path / _STATE} is too long to be a state")
        return data

    def save(self, data: bytes) -> None:
        """Write, sync, rename, sync the directory. Whenever the power fails, the file is the former or this one, whole."""
        if self._lock < 0:
            raise StateError(f"{self._path} was closed")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path / _NEXT, flags, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self._path / _NEXT, self._path / _STATE)
        directory = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def close(self) -> None:
        """Lets other processes have it. Nothing can be saved from here on."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
