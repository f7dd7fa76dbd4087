"""Watching a service that answers as a test wants: gaps, interruptions, and what a cache makes of them."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from fake import faked, refuse
from google.protobuf.duration_pb2 import Duration

import wardein.watcher
from wardein import (
    Bookmark,
    Change,
    DeviceVerdict,
    Interrupted,
    Miss,
    Moment,
    OfflineUse,
    OutOfRange,
    PermissionDenied,
    Platform,
    Snapshot,
    SnapshotBegin,
    SnapshotEnd,
    TransportError,
    TrustCache,
    Verdict,
    Watcher,
)
from wardein._pb import trust_pb2
from wardein.verdicts import device_verdict, seconds


def device(name: str, verdict: int = trust_pb2.VERDICT_TRUSTED, lifetime: int = 300) -> trust_pb2.DeviceVerdict:
    return trust_pb2.DeviceVerdict(
        device_id=name, verdict=verdict, lifetime=Duration(seconds=lifetime)  # type: ignore[arg-type]
    )


def snapshot(*devices: trust_pb2.DeviceVerdict) -> trust_pb2.WatchResponse:
    return trust_pb2.WatchResponse(snapshot=trust_pb2.Snapshot(devices=devices))


def end(revision: bytes, devices: int) -> trust_pb2.WatchResponse:
    return trust_pb2.WatchResponse(snapshot_end=trust_pb2.SnapshotEnd(revision=revision, devices=devices))


def change(previous: bytes, revision: bytes, *devices: trust_pb2.DeviceVerdict) -> trust_pb2.WatchResponse:
    return trust_pb2.WatchResponse(change=trust_pb2.Change(previous=previous, revision=revision, devices=devices))


def bookmark(revision: bytes, elapsed: float = 0.0) -> trust_pb2.WatchResponse:
    span = Duration(seconds=int(elapsed), nanos=int(elapsed % 1 * 1e9))
    return trust_pb2.WatchResponse(bookmark=trust_pb2.Bookmark(revision=revision, elapsed=span))


SUSPENDED = trust_pb2.VERDICT_NOT_TRUSTED


async def forever() -> None:
    await asyncio.Event().wait()


async def until(what: Any) -> None:
    async with asyncio.timeout(5):
        while not what():
            await asyncio.sleep(0.005)


async def events(watcher: Watcher, count: int) -> list[Any]:
    async with asyncio.timeout(5):
        return [await anext(watcher) for _ in range(count)]


def test_a_watch_goes_on_from_its_revision_and_sees_a_gap_by_itself(tmp_path: Path) -> None:
    asked: list[Any] = []

    async def watch(request: trust_pb2.WatchRequest, context: Any) -> AsyncIterator[Any]:
        asked.append(request.revision if request.WhichOneof("from") == "revision" else None)
        if len(asked) == 1:
            yield snapshot(device("pump-1"), device("pump-2"))
            yield end(b"1", 2)
            yield bookmark(b"1")
            yield change(b"1", b"2", device("pump-1", SUSPENDED))
            # The one from 2 to 3 is missing.
            yield change(b"3", b"4", device("pump-2", SUSPENDED))
            await forever()
        yield change(b"2", b"3", device("pump-2", SUSPENDED))
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the connection broke")

    async def run() -> None:
        async with faked(tmp_path) as (fake, platform):
            fake.watch = watch
            watcher = Watcher(platform)
            heard = await events(watcher, 8)
            kinds = [SnapshotBegin, Snapshot, SnapshotEnd, Bookmark, Change, Interrupted, Change, Interrupted]
            assert [type(each) for each in heard] == kinds
            assert "a change was missed" in str(heard[5].error)
            assert asked == [None, b"2"] and watcher.revision == b"3"
            watcher.close()

    asyncio.run(run())


@pytest.mark.parametrize("reason", ["REVISION_COMPACTED", "REVISION_FOREIGN", "REVISION_AHEAD"])
def test_a_revision_that_is_gone_leads_to_a_snapshot(tmp_path: Path, reason: str) -> None:
    async def watch(request: trust_pb2.WatchRequest, context: Any) -> AsyncIterator[Any]:
        if request.WhichOneof("from") == "revision":
            await refuse(context, grpc.StatusCode.OUT_OF_RANGE, reason)
        yield snapshot(device("pump-1"))
        yield end(b"9", 1)
        await forever()

    async def run() -> None:
        async with faked(tmp_path) as (fake, platform):
            fake.watch = watch
            watcher = Watcher(platform, b"of an earlier life")
            heard = await events(watcher, 4)
            assert [type(each) for each in heard] == [Interrupted, SnapshotBegin, Snapshot, SnapshotEnd]
            assert isinstance(heard[0].error, OutOfRange) and watcher.revision == b"9"
            watcher.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "messages",
    [
        [snapshot(device("pump-1")), end(b"1", 2)],
        [bookmark(b"1")],
        [change(b"", b"1")],
        [snapshot(device("pump-1")), end(b"1", 1), snapshot(device("pump-2"))],
        [snapshot(device("pump-1")), end(b"1", 1), end(b"2", 1)],
    ],
    ids=["not whole", "bookmark first", "change first", "not asked for", "two ends"],
)
def test_what_no_authority_would_send_is_not_taken(tmp_path: Path, messages: list[Any]) -> None:
    async def watch(request: trust_pb2.WatchRequest, context: Any) -> AsyncIterator[Any]:
        for message in messages:
            yield message
        await forever()

    async def run() -> None:
        async with faked(tmp_path) as (fake, platform):
            fake.watch = watch
            watcher = Watcher(platform)
            *_, last = await events(watcher, len(messages) + 1)
            assert isinstance(last, Interrupted) and last.error.status == "INTERNAL"
            watcher.close()

    asyncio.run(run())


def test_silence_breaks_a_watch_and_a_refusal_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wardein.watcher, "SILENCE", 0.2)
    calls = 0

    async def watch(request: trust_pb2.WatchRequest, context: Any) -> AsyncIterator[Any]:
        nonlocal calls
        calls += 1
        if calls > 1:
            await refuse(context, grpc.StatusCode.PERMISSION_DENIED, "ROLE_DENIED")
        await forever()
        yield

    async def run() -> None:
        async with faked(tmp_path) as (fake, platform):
            fake.watch = watch
            watcher = Watcher(platform)
            began, interrupted, _ = await events(watcher, 3)
            assert isinstance(began, SnapshotBegin) and "too long" in str(interrupted.error)
            with pytest.raises(PermissionDenied):
                await events(watcher, 1)

    asyncio.run(run())


def test_a_pause_that_a_refusal_names_is_kept(tmp_path: Path) -> None:
    came: list[float] = []

    async def watch(request: trust_pb2.WatchRequest, context: Any) -> AsyncIterator[Any]:
        came.append(time.monotonic())
        await refuse(context, grpc.StatusCode.UNAVAILABLE, "STOPPING", retry=0.4)
        yield

    async def run() -> None:
        async with faked(tmp_path) as (fake, platform):
            fake.watch = watch
            watcher = Watcher(platform)
            await events(watcher, 4)
            assert came[1] - came[0] >= 0.4

    asyncio.run(run())


def test_a_wait_that_is_canceled_loses_nothing(tmp_path: Path) -> None:
    async def watch(request: trust_pb2.WatchRequest, context: Any) -> AsyncIterator[Any]:
        if request.WhichOneof("from") == "revision":
            yield change(request.revision, b"2", device("pump-1", SUSPENDED))
            await forever()
        yield snapshot(device("pump-1"))
        yield end(b"1", 1)
        await forever()

    async def run() -> None:
        async with faked(tmp_path) as (fake, platform):
            fake.watch = watch
            watcher = Watcher(platform)
            await events(watcher, 3)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await anext(watcher)
            (heard,) = await events(watcher, 1)
            assert isinstance(heard, Change) and watcher.revision == b"2"
            watcher.close()

    asyncio.run(run())


def test_a_verdict_that_time_ends_is_not_used_from_that_second_on(tmp_path: Path) -> None:
    until_1100, more = device("pump-1", lifetime=600), asyncio.Event()
    until_1100.valid_until.FromSeconds(1_100)
    offline(until_1100, 1, 600)
    later = device("pump-1", lifetime=600)
    later.valid_until.FromSeconds(1_200)

    def at(revision: bytes, seconds: int) -> trust_pb2.WatchResponse:
        message = bookmark(revision)
        message.bookmark.time.FromSeconds(seconds)
        return message

    async def watch(request: trust_pb2.WatchRequest, context: Any) -> AsyncIterator[Any]:
        yield snapshot(until_1100)
        yield end(b"1", 1)
        yield at(b"1", 1_000)
        await more.wait()
        yield at(b"1", 1_099)
        yield change(b"1", b"2", device("pump-2"))
        await asyncio.sleep(0.2)
        yield change(b"2", b"3", later)
        await forever()

    async def run() -> None:
        async with faked(tmp_path) as (fake, platform):
            fake.watch = watch
            async with TrustCache(platform) as cache:
                await cache.ready(5)
                assert cache.lookup("pump-1").is_trusted
                more.set()
                await until(lambda: len(cache) == 2)
                # By the authority's time it may be 1100; no dial makes it last.
                assert cache.lookup("pump-1") is Miss.STALE
                assert cache.lookup("pump-1", OfflineUse.DATA) is Miss.STALE
                await until(lambda: cache.lookup("pump-1") is not Miss.STALE)

    asyncio.run(run())


def test_a_cache_is_told_and_compares_after_it_was_away(tmp_path: Path) -> None:
    fell: list[tuple[str, Verdict]] = []
    is_broken, calls = asyncio.Event(), 0

    async def watch(request: trust_pb2.WatchRequest, context: Any) -> AsyncIterator[Any]:
        nonlocal calls
        calls += 1
        if calls == 1:
            yield snapshot(device("pump-1"), device("pump-2"), device("pump-3"))
            yield end(b"1", 3)
            yield bookmark(b"1")
            yield change(b"1", b"2", device("pump-1", SUSPENDED))
            await is_broken.wait()
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the connection broke")
        if request.WhichOneof("from") == "revision":
            await refuse(context, grpc.StatusCode.OUT_OF_RANGE, "REVISION_FOREIGN")
        # As from a backup: the suspension is not known, another is, and a device is gone.
        yield snapshot(device("pump-1"), device("pump-2", SUSPENDED))
        yield end(b"7", 2)
        yield bookmark(b"7")
        await forever()

    def changed(verdict: DeviceVerdict) -> None:
        fell.append((verdict.device_id, verdict.verdict))
        raise RuntimeError("the platform's own fault")

    async def run() -> None:
        async with faked(tmp_path) as (fake, platform):
            fake.watch = watch
            async with TrustCache(platform, changed=changed) as cache:
                assert cache.lookup("pump-1") is Miss.STALE and cache.age() is None
                await cache.ready(5)
                await until(lambda: fell)
                assert fell == [("pump-1", Verdict.NOT_TRUSTED)] and not cache.lookup("pump-1").is_trusted
                assert cache.lookup("pump-2").is_trusted and cache.lookup("pump-4") is Miss.UNKNOWN
                is_broken.set()
                await until(lambda: len(fell) == 4)
                later = {("pump-1", Verdict.TRUSTED), ("pump-2", Verdict.NOT_TRUSTED), ("pump-3", Verdict.UNKNOWN)}
                assert set(fell[1:]) == later and len(cache) == 2
            assert cache.failure is None
            never = TrustCache(platform)
            async with never:
                pass
            with pytest.raises(TransportError):
                await never.ready(5)

    asyncio.run(run())


def test_a_cache_that_may_not_watch_says_so(tmp_path: Path) -> None:
    async def watch(request: trust_pb2.WatchRequest, context: Any) -> AsyncIterator[Any]:
        await refuse(context, grpc.StatusCode.PERMISSION_DENIED, "ROLE_DENIED")
        yield

    async def run() -> None:
        async with faked(tmp_path) as (fake, platform):
            fake.watch = watch
            async with TrustCache(platform) as cache:
                with pytest.raises(PermissionDenied):
                    await cache.ready(5)
                assert isinstance(cache.failure, PermissionDenied)
                assert cache.lookup("pump-1") is Miss.STALE

    asyncio.run(run())


def filled(most_silence: float, *devices: trust_pb2.DeviceVerdict, ago: float) -> TrustCache:
    """A cache that heard of those devices, and of the authority so many seconds ago."""
    cache = TrustCache(Platform.__new__(Platform), most_silence=most_silence)
    now = Moment.now()
    # By the wall clock alone, as after a sleep of the machine.
    as_of = Moment(now.steady, now.wall - ago)
    known = [device_verdict(each) for each in devices]
    for event in (SnapshotBegin(), Snapshot(known), SnapshotEnd(), Bookmark(as_of, None)):
        cache._apply(event)
    return cache


def test_it_answers_for_as_long_as_the_last_bookmark_and_the_verdict_allow() -> None:
    cache = filled(15, device("long"), device("short", lifetime=2), ago=10)
    assert cache.lookup("long").is_trusted
    assert cache.lookup("short") is Miss.STALE
    assert cache.lookup("none") is Miss.UNKNOWN
    cache = filled(5, device("long"), ago=10)
    assert cache.lookup("long") is Miss.STALE
    assert cache.lookup("none") is Miss.STALE


def test_a_snapshot_counts_when_it_is_whole_and_the_authority_was_heard_of() -> None:
    cache = TrustCache(Platform.__new__(Platform))
    known = [device_verdict(device("pump-1"))]
    for event in (SnapshotBegin(), Snapshot(known), SnapshotEnd()):
        cache._apply(event)
        assert cache.lookup("pump-1") is Miss.STALE
    cache._apply(Bookmark(Moment.now(), None))
    assert cache.lookup("pump-1").is_trusted
    # One that is broken off changes nothing.
    for event in (SnapshotBegin(), Snapshot([]), SnapshotBegin()):
        cache._apply(event)
    assert cache.lookup("pump-1").is_trusted
    # An earlier bookmark takes nothing back.
    cache._apply(Bookmark(Moment(0, 0), None))
    assert cache.lookup("pump-1").is_trusted


def offline(verdict: trust_pb2.DeviceVerdict, use: int, span: int) -> trust_pb2.DeviceVerdict:
    verdict.offline.add(use=use, time=Duration(seconds=span))
    return verdict


def test_a_stale_verdict_is_used_for_what_its_policy_says_and_no_longer() -> None:
    # The clock jumps, as after a sleep of the machine.
    for ago, good in ((10, tuple(OfflineUse)), (70, (OfflineUse.DATA, OfflineUse.LOGIN)), (80, (OfflineUse.DATA,)), (3_620, ())):
        both = offline(offline(device("pump-1"), OfflineUse.DATA, 3_600), OfflineUse.LOGIN, 60)
        # Of a later release.
        offline(both, 77, 10**6)
        never = offline(device("never", lifetime=0), OfflineUse.DATA, 3_600)
        fell = offline(device("fell", SUSPENDED), OfflineUse.DATA, 3_600)
        cache = filled(15, both, device("none of it"), never, fell, ago=ago)
        for use in (OfflineUse.DATA, OfflineUse.LOGIN, OfflineUse.CONTROL):
            assert cache.lookup("pump-1", use).is_trusted == (use in good), (ago, use)
        fresh = ago <= 15
        assert cache.lookup("pump-1").is_trusted == fresh
        assert cache.lookup("pump-1", OfflineUse.UNSPECIFIED).is_trusted == fresh
        assert cache.lookup("none of it", OfflineUse.DATA).is_trusted == fresh
        assert cache.lookup("never", OfflineUse.DATA) is Miss.STALE
        assert not cache.lookup("fell", OfflineUse.DATA).is_trusted
        assert not cache.lookup("nobody", OfflineUse.DATA).is_trusted


def test_a_moment_is_never_later_than_now_and_its_age_is_the_longer() -> None:
    asked = Moment.now()
    assert asked.later(9).age() < 5 and asked.later(1e300).age() < 5
    assert Moment(asked.steady, asked.wall - 60).age() >= 60, "the machine slept"
    assert Moment(asked.steady - 60, asked.wall).age() >= 60
    assert Moment(asked.steady, asked.wall + 60).age() < 5, "the clock was set back"


def test_an_elapsed_time_that_is_none_claims_nothing() -> None:
    wire = [Duration(seconds=2, nanos=5), Duration(seconds=-1), Duration(nanos=-1), Duration(seconds=1, nanos=10**9)]
    assert [seconds(each) for each in wire] == [2.000000005, 0, 0, 0]


def test_closing_ends_what_still_runs(tmp_path: Path) -> None:
    async def run() -> None:
        async with faked(tmp_path) as (fake, platform):
            hanging = asyncio.create_task(platform.ping())
            watcher = Watcher(platform)
            await events(watcher, 1)
            watching = asyncio.create_task(anext(watcher))
            await hanging
            await until(lambda: fake.calls == 1)
            await platform.close()
            heard = await asyncio.wait_for(watching, 5)
            assert isinstance(heard, Interrupted) and isinstance(heard.error, TransportError)
            watcher.close()

    asyncio.run(run())


def test_what_a_lookup_costs(capsys: pytest.CaptureFixture[str]) -> None:
    """Among 100,000 devices, asked about in no order. The bound is wide: it is for a lookup that does more than look."""
    count = 100_000
    cache = filled(600, *(device(f"pump-{number:06}", lifetime=600) for number in range(count)), ago=0)
    asked = [f"pump-{number * 7919 % count:06}" for number in range(count)]
    took = []
    # The second time the hashes of the names are known, for a dict and for the cache.
    for ask in (cache._devices.__getitem__, cache._devices.__getitem__, cache.lookup):
        began = time.perf_counter()
        trusted = sum(ask(each).is_trusted for each in asked)
        took.append((time.perf_counter() - began) / count)
        assert trusted == count
    with capsys.disabled():
        _, bare, one = (f"{each * 1e9:.0f} ns" for each in took)
        print(f"\nwardein (Python): a lookup among {count} devices takes {one}; one in a dict, {bare}")
    assert took[2] < 20e-6
