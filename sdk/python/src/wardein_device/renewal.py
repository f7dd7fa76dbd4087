"""SPEC section 11.3: when a certificate is to be renewed."""

import secrets
from typing import Final, NamedTuple

# Where the authority says nothing, in percent: two thirds, and some of them sooner or later.
_USUAL: Final = (58, 74)


class Window(NamedTuple):
    """Unix seconds, both within it."""

    start: int
    end: int


def renew_at(told: Window | None, now: int, not_after: int) -> int:
    """A moment at random in the window that the authority told beside the certificate, so that a fleet does not return at once; in the usual
    one where it told none, or none to go by. `now` is the known time when the certificate came."""
    span = max(not_after - now, 0)
    start, end = (now + span * share // 100 for share in _USUAL)
    # Nothing authenticates it: neither may it wear the device out, nor leave it without a certificate.
    if told is not None and now + span // 10 <= told.start <= told.end <= not_after:
        start, end = told
    return start + secrets.randbelow(end - start + 1)
