"""The verdicts on all devices of a platform, in its own memory."""

import asyncio
import logging
from collections.abc import Callable
from enum import Enum
from math import inf
from time import monotonic as _steady
from time import time as _wall
from types import TracebackType
from typing import Final, Self

from .errors import CallError, TransportError
from .moment import Moment
from .platform import Platform
from .verdicts import DeviceVerdict
from .watcher import Bookmark, Change, Event, Interrupted, Snapshot, SnapshotBegin, SnapshotEnd, Watcher
from .words import Assurance, DeviceState, OfflineUse, Reason, Verdict

_log: Final = logging.getLogger("wardein")


class Miss(Enum):
    """Why a cache has no verdict."""

    # The authority has no such device in this tenant.
    UNKNOWN = "unknown"
    # It is not known whether what was heard last is still so: ask `Platform.check`, or do not trust it.
    STALE = "stale"

    @property
    def is_trusted(self) -> bool:
        """It is not."""
        return False


class TrustCache:
    """The verdicts on all devices of a platform, kept true by Watch while the cache is open: `async with`.

    It answers while the last bookmark of the authority is younger than `most_silence` and than the verdict's lifetime, and while time alone
    has not ended the verdict, and says `Miss.STALE` otherwise: when it has not heard of the authority for too long, it trusts nobody, but for what
    the authority's trust policy has stale verdicts for. A lookup touches memory alone, and may be made by any thread.
    """

    def __init__(
        self, platform: Platform, *, most_silence: float = 15.0, changed: Callable[[DeviceVerdict], None] | None = None
    ) -> None:
        """`most_silence` is the longest, in seconds, that it answers without having heard of the authority, of which a bookmark comes every
        5 seconds. `changed` is called, in the event loop, with each device whose verdict became another one, also where the authority was
        away in between: close its sessions there. With a device that is gone it is called with UNKNOWN."""
        self._platform = platform
        self._most_silence = most_silence
        self._changed = changed
        self._devices: dict[str, DeviceVerdict] = {}
        # The snapshot that is on its way: it takes the place of what is there when it is whole.
        self._coming: dict[str, DeviceVerdict] = {}
        # The moment of the last bookmark, and the authority's time in Unix seconds by then.
        self._as_of: tuple[Moment, float] | None = None
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failure: CallError | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the watch. The cache goes on answering until it is stale."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        # Also where it never began.
        self._ready.set()

    async def ready(self, timeout: float | None = None) -> None:
        """Waits, so many seconds at most (`TimeoutError`), until it can answer. Raises the reason where it never will."""
        async with asyncio.timeout(timeout):
            await self._ready.wait()
        if self._as_of is None:
            raise self._failure or TransportError("CANCELLED", "the watch of trust has ended")

    @property
    def failure(self) -> CallError | None:
        """Why the watch has ended for good, if it has: the identity was revoked or has ended, or may not watch."""
        return self._failure

    def age(self) -> float | None:
        """How many seconds ago it last heard that everything is as it has it; None if it never did."""
        as_of = self._as_of
        return None if as_of is None else as_of[0].age()

    def lookup(self, device_id: str, use: OfflineUse | None = None) -> DeviceVerdict | Miss:
        """What is known of the device of that id now.

        `use` is what it is asked for: a stale verdict is then given as well, for as long as the tenant's trust policy has it for that use. A
        device that fell in the meantime is then taken for good, which is what that policy weighs. A verdict that the profile lets nobody
        keep, or that time has ended, is never used longer.
        """
        as_of = self._as_of
        if as_of is None:
            return Miss.STALE
        # `Moment.age()`, without the price of calls.
        (steady, wall), at = as_of
        age, by_wall = _steady() - steady, _wall() - wall
        if by_wall > age:
            age = by_wall
        verdict = self._devices.get(device_id)
        fresh = self._most_silence
        if verdict is None:
            return Miss.UNKNOWN if age <= fresh else Miss.STALE
        until = verdict.valid_until
        # The authority's time is that or earlier, and its second may have been nearly over.
        if until and at + age + 1.0 >= until:
            return Miss.STALE
        lifetime = verdict.lifetime
        if lifetime < fresh:
            fresh = lifetime
        if age <= fresh or (use is not None and lifetime > 0.0 and age <= fresh + verdict.offline_for(use)):
            return verdict
        return Miss.STALE

    def __len__(self) -> int:
        """How many devices it knows."""
        return len(self._devices)

    async def _follow(self) -> None:
        watcher = Watcher(self._platform)
        try:
            async for event in watcher:
                self._apply(event)
        except CallError as error:
            self._failure = error
            _log.error("the watch of trust has ended: %s", error)
        except Exception:
            _log.exception("the watch of trust has ended by a fault of this package")
            raise
        finally:
            watcher.close()
            self._ready.set()

    def _apply(self, event: Event) -> None:
        match event:
            case SnapshotBegin():
                self._coming = {}
            case Snapshot(devices):
                self._coming.update((each.device_id, each) for each in devices)
            case SnapshotEnd():
                former, self._devices, self._coming = self._devices, self._coming, {}
                if self._changed is not None:
                    self._compare(former)
            case Change(devices):
                for each in devices:
                    before = self._devices.get(each.device_id)
                    self._devices[each.device_id] = each
                    self._tell(before, each)
            case Bookmark(moment, time):
                # Without a time nothing is known of what ends by it.
                at = inf if time is None else time.timestamp()
                if self._as_of is not None:
                    newest, at_newest = self._as_of
                    # An earlier one takes nothing back.
                    at = at if moment.age() <= newest.age() else at_newest
                    moment = newest.newest(moment)
                self._as_of = (moment, at)
                self._ready.set()
            case Interrupted(error):
                _log.warning("the watch of trust was interrupted: %s", error)

    def _compare(self, former: dict[str, DeviceVerdict]) -> None:
        # Nobody was told of a device before the first snapshot.
        if self._as_of is None:
            return
        for device_id, verdict in self._devices.items():
            self._tell(former.get(device_id), verdict)
        for device_id in former.keys() - self._devices.keys():
            self._tell(former[device_id], _gone(device_id))

    def _tell(self, before: DeviceVerdict | None, verdict: DeviceVerdict) -> None:
        if self._changed is None or (before is not None and before.verdict == verdict.verdict):
            return
        try:
            self._changed(verdict)
        except Exception:
            # The cache is true all the same.
            _log.exception("what was to hear of a changed verdict failed")


def _gone(device_id: str) -> DeviceVerdict:
    return DeviceVerdict(
        device_id,
        Verdict.UNKNOWN,
        (Reason.NO_SUCH_DEVICE,),
        0.0,
        DeviceState.UNSPECIFIED,
        Assurance.UNSPECIFIED,
        False,
    )
