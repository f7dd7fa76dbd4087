"""Against a served authority. deploy/platform-sdk.sh names the binary."""

import asyncio
import base64
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

if "WARDEIN_BINARY" not in os.environ:
    pytest.skip("no authority is served; deploy/platform-sdk.sh runs this", allow_module_level=True)

from served import TENANT, Served
from wardein import (
    DeviceState,
    DeviceVerdict,
    FailedPrecondition,
    InvalidArgument,
    Miss,
    OfflineUse,
    PermissionDenied,
    Platform,
    Reason,
    ReceiptFor,
    Refused,
    TransportError,
    TrustCache,
    TryLater,
    Unauthenticated,
    Verdict,
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("authority"), "sdk.example")
    yield served
    served.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Another one, which answers one platform five times a second."""
    served = Served(tmp_path_factory.mktemp("other"), "other.example", operator_per_second=5, operator_burst=5)
    yield served
    served.end(signal.SIGTERM)


def from_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def platform_of(served: Served, timeout: float = 10.0) -> Platform:
    return Platform(served.platform, timeout=timeout, proxy=False)


async def until(what: Callable[[], object], timeout: float = 20.0) -> float:
    """Waits until that holds, and gives how long it took."""
    began = time.monotonic()
    async with asyncio.timeout(timeout):
        while not what():
            await asyncio.sleep(0.002)
    return time.monotonic() - began


def test_a_device_is_asked_about_by_all_that_names_it(authority: Served) -> None:
    device = authority.enrolled("asked-1")
    der = authority.certificate(device)
    certificate = x509.load_der_x509_certificate(der)
    (spiffe_id,) = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.UniformResourceIdentifier
    )

    async def run() -> None:
        async with platform_of(authority) as platform:
            await platform.ping()
            pem = certificate.public_bytes(Encoding.PEM)
            for answer in (
                await platform.check("asked-1"),
                await platform.check(certificate=der),
                await platform.check(certificate=pem),
                await platform.check(certificate=pem.decode()),
                await platform.check(spiffe_id=spiffe_id),
                await platform.check(serial=f"{certificate.serial_number:032x}"),
                await platform.check(fingerprint=sha256(der).hexdigest()),
            ):
                assert answer.is_trusted and answer.reasons == (Reason.IN_GOOD_STANDING,)
                assert (answer.tenant, answer.device_id, answer.state) == (TENANT, "asked-1", DeviceState.ACTIVE)
                assert answer.lifetime.total_seconds() > 0 and answer.revision > 0
            assert answer.receipt is None
            answer = await platform.check("asked-1", receipt=ReceiptFor("erp.example", b"12345678"))
            assert answer.receipt is not None
            claims = json.loads(from_base64url(answer.receipt.split(".")[1]))
            assert (claims["aud"], from_base64url(claims["eat_nonce"])) == ("erp.example", b"12345678")
            await asyncio.to_thread(authority.suspend, "asked-1")
            answer = await platform.check(certificate=der)
            assert (answer.verdict, answer.state) == (Verdict.NOT_TRUSTED, DeviceState.SUSPENDED)
            assert Reason.SUSPENDED in answer.reasons
            assert (await platform.check("nobody")).verdict is Verdict.UNKNOWN
            with pytest.raises(InvalidArgument) as refused:
                await platform.check("not an id")
            assert refused.value.code == "malformed" and refused.value.details.fields[0][0] == "device_id"
            assert refused.value.request_id

    asyncio.run(run())


def test_many_are_asked_about_on_one_stream(authority: Served) -> None:
    authority.enrolled("many-1")

    async def run() -> None:
        async with platform_of(authority) as platform, platform.check_stream() as checks:
            ids = ["many-1" if number % 2 else f"nobody-{number}" for number in range(10_000)]
            ids[5] = "not an id"
            results = await checks.check(ids)
            bad = results.pop(5)
            assert isinstance(bad, InvalidArgument) and bad.code == "malformed"
            verdicts = [each.verdict for each in results if isinstance(each, DeviceVerdict)]
            assert len(verdicts) == 9_999
            assert verdicts.count(Verdict.TRUSTED) == 4_999 and verdicts.count(Verdict.UNKNOWN) == 5_000

    asyncio.run(run())


def test_a_login_is_good_once(authority: Served) -> None:
    device = authority.enrolled("login-1")
    authority.certificate(device)
    token, key = device.token("iot", b"nonce"), b"k" * 16

    async def run() -> None:
        async with platform_of(authority) as platform:
            login = await platform.verify_token(token, b"nonce", idempotency_key=key)
            assert login.user_name == "edge:login-1" and login.trust.is_trusted and login.issued_at
            # As after an answer that was lost.
            assert await platform.verify_token(token, b"nonce", idempotency_key=key) == login
            with pytest.raises(FailedPrecondition) as refused:
                await platform.verify_token(token, b"nonce")
            assert refused.value.code == "token-spent"
            with pytest.raises(Refused):
                await platform.verify_token(device.token("iot", b"other"), b"nonce")

    asyncio.run(run())


def test_subjects_are_listed(authority: Served) -> None:
    for device_id in ("listed-1", "listed-2"):
        authority.enrolled(device_id)
    authority.suspend("listed-2")

    async def run() -> None:
        async with platform_of(authority) as platform:
            listed = {each.device_id: each async for each in platform.subjects() if each.device_id.startswith("listed")}
            assert {each.model for each in listed.values()} == {"SDK 1"} and len(listed) == 2
            suspended = [each.device_id async for each in platform.subjects(state=DeviceState.SUSPENDED)]
            assert "listed-2" in suspended and "listed-1" not in suspended
            assert [each async for each in platform.subjects(model="none such")] == []

    asyncio.run(run())


def test_a_cache_is_true_is_stale_and_is_true_again(authority: Served) -> None:
    for device_id in ("cached-1", "cached-2"):
        authority.enrolled(device_id)
    authority.wardein("trust", "policy", "set", "--tenant", TENANT, "--no-rules", "--offline", "data:1m")
    fell: list[DeviceVerdict] = []

    async def run() -> None:
        async with platform_of(authority) as platform, TrustCache(platform, most_silence=5.5, changed=fell.append) as cache:
            assert cache.lookup("cached-1") is Miss.STALE
            await cache.ready(10)
            assert cache.lookup("cached-1").is_trusted and cache.lookup("nobody") is Miss.UNKNOWN
            # Until a command has run is not what is measured.
            suspending = asyncio.create_task(asyncio.to_thread(authority.suspend, "cached-1"))
            await until(lambda: fell)
            assert (fell[0].device_id, fell[0].verdict) == ("cached-1", Verdict.NOT_TRUSTED)
            assert not cache.lookup("cached-1").is_trusted
            await suspending
            await asyncio.to_thread(authority.resume, "cached-1")
            await until(lambda: cache.lookup("cached-1").is_trusted)

            await asyncio.to_thread(authority.end, signal.SIGKILL)
            took = await until(lambda: cache.lookup("cached-1") is Miss.STALE)
            assert took < 7 and cache.lookup("nobody") is Miss.STALE
            assert not cache.lookup("cached-1").is_trusted
            # What the policy has stale verdicts for, and nothing else.
            assert cache.lookup("cached-1", OfflineUse.DATA).is_trusted
            assert cache.lookup("cached-1", OfflineUse.CONTROL) is Miss.STALE
            with pytest.raises(TransportError):
                await platform.check("cached-1", timeout=1)

            await asyncio.to_thread(authority.serve)
            await until(lambda: cache.lookup("cached-1").is_trusted)
            # What changes afterwards comes over the stream that went on.
            await asyncio.to_thread(authority.suspend, "cached-2")
            await until(lambda: any(each.device_id == "cached-2" for each in fell))
            assert isinstance(cache.lookup("cached-2"), DeviceVerdict) and not cache.lookup("cached-2").is_trusted
            assert cache.failure is None

    asyncio.run(run())


def test_a_change_while_the_watcher_was_away_is_not_missed(authority: Served) -> None:
    authority.enrolled("away-1")
    fell: list[DeviceVerdict] = []

    async def run() -> None:
        async with platform_of(authority) as platform, TrustCache(platform, changed=fell.append) as cache:
            await cache.ready(10)
            # It stops in order, and starts again with another command at work before the watcher is back.
            await asyncio.to_thread(authority.end, signal.SIGTERM)
            await asyncio.to_thread(authority.serve)
            await asyncio.to_thread(authority.suspend, "away-1")
            await until(lambda: any(each.device_id == "away-1" for each in fell))
            assert not cache.lookup("away-1").is_trusted

    asyncio.run(run())


def test_the_authority_of_another_ca_is_refused(authority: Served, other: Served) -> None:
    async def run() -> None:
        # The other's address, and this one's CA.
        async with Platform(authority.platform, endpoint=f"https://{other.target}", timeout=5, proxy=False) as platform:
            with pytest.raises(TransportError):
                await platform.ping()
            async with TrustCache(platform) as cache:
                with pytest.raises(TimeoutError):
                    await cache.ready(1)
                assert cache.lookup("cached-1") is Miss.STALE and cache.failure is None

    asyncio.run(run())


def test_an_identity_of_another_authority_is_nobody(authority: Served, other: Served, tmp_path: Path) -> None:
    forged = tmp_path / "forged"
    shutil.copytree(other.platform, forged)
    shutil.copy(authority.platform / "infrastructure.pem", forged / "infrastructure.pem")

    async def run() -> None:
        async with Platform(forged, endpoint=f"https://{authority.target}", proxy=False) as platform:
            with pytest.raises(Unauthenticated) as refused:
                await platform.check("asked-1")
            assert refused.value.code == "identity-unknown"

    asyncio.run(run())


def test_a_rate_that_is_used_up_is_waited_for(other: Served) -> None:
    async def run() -> None:
        async with platform_of(other) as platform:
            began = time.monotonic()
            # Beyond the burst: all are answered, some after a pause.
            answers = await asyncio.gather(*(platform.check("nobody", timeout=20) for _ in range(6)))
            assert all(each.verdict is Verdict.UNKNOWN for each in answers)
            assert time.monotonic() - began > 0.5
            # The authority holds such a refusal back for a second. Where there is no time left for a pause of another, it is raised.
            asked = (platform.check("nobody", timeout=1.8) for _ in range(8))
            refused = [each for each in await asyncio.gather(*asked, return_exceptions=True) if isinstance(each, TryLater)]
            assert refused and all((each.code, each.retry_after) == ("rate-limited", 1) for each in refused)

    asyncio.run(run())


def test_a_watch_ends_with_its_identity_or_goes_on_with_the_next(authority: Served) -> None:
    identity = authority.issue("platform", "two", out="two")
    station = authority.house / "station"

    async def run() -> None:
        async with Platform(identity, proxy=False) as platform, TrustCache(platform) as cache:
            await cache.ready(10)
            # Its directory has another identity by the time at which it is revoked.
            former = str(authority.description("two")["serial"])
            await asyncio.to_thread(authority.issue, "platform", "three", out="three")
            for file in ("operator.key", "operator.pem", "operator.json"):
                shutil.copy(authority.house / "three" / file, identity / file)
            await asyncio.to_thread(revoke, authority, former)
            # Longer than a bookmark takes.
            age = cache.age()
            await until(lambda: (now := cache.age()) is not None and age is not None and now < age)
            assert cache.failure is None
            await asyncio.to_thread(revoke, authority, str(authority.description("two")["serial"]))
            await until(lambda: cache.failure is not None)
            assert isinstance(cache.failure, Unauthenticated) and cache.failure.code == "operator-revoked"
        async with Platform(station, proxy=False) as platform, TrustCache(platform) as cache:
            with pytest.raises(PermissionDenied):
                await cache.ready(10)

    asyncio.run(run())


def revoke(authority: Served, serial: str) -> None:
    authority.wardein("operator", "revoke", serial, "--reason", "test", "--yes")
