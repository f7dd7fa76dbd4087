"""Watching without an end: where a stream breaks, another one goes on from its last revision."""

import asyncio
import random
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

import grpc

from ._pb import trust_pb2
from .errors import AuthorityFault, CallError, OutOfRange, Refused, TransportError, TryLater, WardeinError, answered
from .moment import Moment
from .platform import Platform
from .verdicts import DeviceVerdict, device_verdict, moment, seconds

# In seconds. Bookmarks come every 5.
SILENCE: Final = 15.0
# How long a stream lasts. Steady clocks differ by less than a second in that time.
LONGEST: Final = 3600.0
# Pauses double, from the first to the last.
_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 10.0


@dataclass(frozen=True, slots=True)
class SnapshotBegin:
    """All devices follow: what was known before is replaced once they are all there."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Some of them."""

    devices: list[DeviceVerdict]


@dataclass(frozen=True, slots=True)
class SnapshotEnd:
    """Those were all."""


@dataclass(frozen=True, slots=True)
class Change:
    """Devices with their present verdicts."""

    devices: list[DeviceVerdict]


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Everything heard so far is as it was at that moment, or later."""

    # By this machine's clocks. It was then or later, whatever was delayed on the way.
    moment: Moment
    # The authority's time: for people.
    time: datetime | None


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The stream broke, for this reason; another one is tried in a moment."""

    error: CallError


Event = SnapshotBegin | Snapshot | SnapshotEnd | Change | Bookmark | Interrupted


class Watcher:
    """A platform that watches its tenant's devices: `async for` gives events, without an end. It raises only what no other attempt
    changes: the identity was revoked or has ended, or may not watch. One that is canceled while it waits loses nothing."""

    def __init__(self, platform: Platform, revision: bytes | None = None) -> None:
        """Begins with a snapshot; or goes on from the revision of an earlier watch, with a snapshot where the authority has nothing from
        there on."""
        self._platform = platform
        self._revision = revision
        self._stream: Any = None
        # Just before the request was sent.
        self._asked = Moment.now()
        self._pause = _PAUSE
        # How many devices of the snapshot that is on its way have come.
        self._coming: int | None = None

    @property
    def revision(self) -> bytes | None:
        """From which another watcher goes on after the last event; None before the first snapshot is complete."""
        return self._revision

    def close(self) -> None:
        """Ends its stream."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        try:
            while True:
                if self._stream is None:
                    begin = await self._open()
                    if begin is not None:
                        return begin
                try:
                    return await self._heard()
                except _Nothing:
                    continue
                except CallError as error:
                    return await self._interrupted(error)
        except BaseException:
            self.close()
            raise

    async def _open(self) -> Event | None:
        # An identity that was renewed in the meantime is taken.
        await self._reload()
        is_snapshot = self._revision is None
        request = trust_pb2.WatchRequest(revision=self._revision)
        if is_snapshot:
            request.snapshot.SetInParent()
        self._asked = Moment.now()
        self._coming = 0 if is_snapshot else None
        self._stream = self._platform.watch(request)
        return SnapshotBegin() if is_snapshot else None

    async def _heard(self) -> Event:
        try:
            async with asyncio.timeout(SILENCE):
                message = await answered(self._stream.read())
        except TimeoutError:
            raise TransportError("UNAVAILABLE", "nothing came for too long") from None
        if message is grpc.aio.EOF:
            raise TransportError("UNAVAILABLE", "the watch ended")
        self._pause = _PAUSE
        event = self._event(message)
        # Two clocks drift apart, and one may be set: each stream compares them once. A bookmark that looks old is of before that.
        if isinstance(event, Bookmark) and (event.moment.age() > SILENCE or self._asked.age() > LONGEST):
            self.close()
        return event

    def _event(self, message: trust_pb2.WatchResponse) -> Event:
        kind = message.WhichOneof("event")
        if kind == "snapshot":
            if self._coming is None:
                raise _fault("a snapshot came that was not asked for")
            devices = list(map(device_verdict, message.snapshot.devices))
            self._coming += len(devices)
            return Snapshot(devices)
        if kind == "snapshot_end":
            if self._coming != message.snapshot_end.devices:
                raise _fault("the snapshot is not whole")
            self._coming = None
            self._revision = message.snapshot_end.revision
            return SnapshotEnd()
        if kind == "change":
            if self._revision is None or message.change.previous != self._revision:
                raise _fault("a change was missed")
            self._revision = message.change.revision
            return Change(list(map(device_verdict, message.change.devices)))
        if kind == "bookmark":
            if self._revision is None:
                raise _fault("a bookmark came before the snapshot's end")
            self._revision = message.bookmark.revision
            return Bookmark(self._asked.later(seconds(message.bookmark.elapsed)), moment(message.bookmark.time))
        # An event of a later release.
        raise _Nothing

    async def _interrupted(self, error: CallError) -> Interrupted:
        """Whether and how to go on after a stream that ended so."""
        self.close()
        # What it goes on from is gone, or a message that it could not know was missed. Without a revision that is nobody's cause.
        if isinstance(error, OutOfRange) and self._revision is not None:
            self._revision = None
            return Interrupted(error)
        if not _may_go_on(error) and not await self._reload():
            raise error
        least = (error.retry_after if isinstance(error, Refused) else None) or 0.0
        pause = max(self._pause, least)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        # Not all watchers of an authority at once.
        await asyncio.sleep(random.uniform(max(least, pause / 2), pause))
        return Interrupted(error)

    async def _reload(self) -> bool:
        try:
            return await self._platform.reload()
        except WardeinError:
            # With the former one, while files are being replaced.
            return False


class _Nothing(Exception):
    """Nothing that this release knows."""


def _may_go_on(error: CallError) -> bool:
    """Whether another attempt may go better: also after a fault of the connection, or of the authority's own."""
    return isinstance(error, TransportError | TryLater | AuthorityFault)


def _fault(message: str) -> CallError:
    """For an answer that no authority would give."""
    return TransportError("INTERNAL", message)
