from collections.abc import Callable

import pytest

from fake import Authority, Clock
from wardein_device import Device, Enrolling, Session

ATTRIBUTES = {"firmware": b"3.1.4 secret", "board": b"rev-b secret"}


class House:
    """An enrolled device, its authority, and all that was saved."""

    def __init__(self, suite: int, authority: Authority) -> None:
        self.authority, self.clock, self.saved = authority, Clock(), list[bytes]()
        self.enrolling = Enrolling.begin("klinik", "pump-1", ATTRIBUTES, authority.identity_key, suite)
        reply = authority.enroll(self.enrolling.request)
        self.device = self.enrolling.finish(reply, self.saved.append, self.clock)
        self.session = Session(self.device, authority, lambda names: {name: ATTRIBUTES[name] for name in names})

    def restart(self) -> None:
        """What a crash leaves is what was saved last."""
        self.device = Device.load(self.saved[-1], self.saved.append, self.clock)
        self.session = Session(self.device, self.authority, lambda names: {name: ATTRIBUTES[name] for name in names})


Found = Callable[..., House]


@pytest.fixture
def found() -> Found:
    def make(suite: int = 1, authority: Authority | None = None) -> House:
        return House(suite, authority or Authority())

    return make
