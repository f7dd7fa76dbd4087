"""Repeating a call where the authority says that the same one succeeds later, and nowhere else."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from .errors import CallError, Refused

# The shortest pause, in seconds, also where a refusal names less.
_LEAST: Final = 0.02

T = TypeVar("T")


async def retrying(attempt: Callable[[float], Awaitable[T]], timeout: float) -> T:
    """What `attempt` gives, which takes the seconds that are left. It is made again after a refusal with `RetryInfo` alone: after the pause
    that it names or twice the one before, whichever is longer, and up to half of that more, so that a fleet does not come back as one.
    Where that would be after `timeout` seconds, the refusal is raised at once."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout
    pause = 0.0
    while True:
        try:
            return await attempt(max(deadline - clock(), 0.0))
        except CallError as failure:
            least = failure.retry_after if isinstance(failure, Refused) else None
            if least is None:
                raise
            pause = max(least, 2 * pause, _LEAST)
            until = clock() + random.uniform(pause, 1.5 * pause)
            if until >= deadline:
                raise
        await asyncio.sleep(until - clock())
