"""Calls over real TLS to a service that answers as a test wants."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from fake import CA, Ca, Fake, faked, refuse

from wardein import (
    AuthorityFault,
    CallError,
    DeadlineExceeded,
    FailedPrecondition,
    IdentityError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Platform,
    Reason,
    Refused,
    TransportError,
    TryLater,
    Unauthenticated,
    Verdict,
)
from wardein._pb import provisioning_pb2, trust_pb2

TRUSTED = trust_pb2.CheckResponse(verdict=trust_pb2.VERDICT_TRUSTED, device_id="pump-1")


def answering(fake: Fake, refusals: int, status: grpc.StatusCode, retry: float | None) -> list[float]:
    """So many refusals, then an answer. It gives when calls came."""
    came: list[float] = []

    async def check(request: Any, context: Any) -> trust_pb2.CheckResponse:
        came.append(time.monotonic())
        if len(came) <= refusals:
            await refuse(context, status, "RATE_LIMITED", retry=retry)
        return TRUSTED

    fake.check = check
    return came


def test_a_refusal_with_retry_info_is_repeated_after_a_pause_that_grows(tmp_path: Path) -> None:
    async def run() -> None:
        async with faked(tmp_path) as (fake, platform):
            came = answering(fake, 3, grpc.StatusCode.RESOURCE_EXHAUSTED, 0.1)
            assert (await platform.check("pump-1")).is_trusted
            pauses = [later - earlier for earlier, later in zip(came, came[1:], strict=False)]
            assert len(pauses) == 3
            # Never shorter than named, and longer each time.
            assert pauses[0] >= 0.1 and pauses[1] >= 0.2 and pauses[2] >= 0.4, pauses

    asyncio.run(run())


@pytest.mark.parametrize("status", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.NOT_FOUND])
def test_a_refusal_without_it_is_raised_at_once(tmp_path: Path, status: grpc.StatusCode) -> None:
    async def run() -> None:
        async with faked(tmp_path) as (fake, platform):
            answering(fake, 1, status, None)
            with pytest.raises(Refused):
                await platform.check("pump-1")
            assert fake.calls == 1

    asyncio.run(run())


def test_what_is_not_the_authoritys_is_never_repeated(tmp_path: Path) -> None:
    async def run() -> None:
        async with faked(tmp_path) as (fake, platform):

            async def check(request: Any, context: Any) -> Any:
                await refuse(context, grpc.StatusCode.UNAVAILABLE, "RATE_LIMITED", retry=0.01, domain="proxy")

            fake.check = check
            with pytest.raises(TransportError):
                await platform.check("pump-1")
            assert fake.calls == 1

    asyncio.run(run())


def test_a_deadline_is_obeyed(tmp_path: Path) -> None:
    async def run() -> None:
        async with faked(tmp_path) as (fake, platform):

            async def hang(request: Any, context: Any) -> Any:
                await asyncio.sleep(30)

            fake.check = hang
            began = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                await platform.check("pump-1", timeout=0.3)
            assert 0.25 < time.monotonic() - began < 2
            # A pause that would end after it is not begun.
            came = answering(fake, 1, grpc.StatusCode.UNAVAILABLE, 60)
            began = time.monotonic()
            with pytest.raises(TryLater) as refused:
                await platform.check("pump-1", timeout=5)
            assert time.monotonic() - began < 2 and len(came) == 1
            assert refused.value.retry_after == 60

    asyncio.run(run())


def test_a_refusal_has_its_kind_and_its_details(tmp_path: Path) -> None:
    kinds = {
        grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
        grpc.StatusCode.NOT_FOUND: NotFound,
        grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
        grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
        grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
        grpc.StatusCode.INTERNAL: AuthorityFault,
        grpc.StatusCode.UNIMPLEMENTED: Refused,
    }

    async def run() -> None:
        async with faked(tmp_path) as (fake, platform):
            for status, kind in kinds.items():

                async def check(request: Any, context: Any, status: grpc.StatusCode = status) -> Any:
                    await refuse(context, status, "MALFORMED")

                fake.check = check
                with pytest.raises(CallError) as raised:
                    await platform.check("pump-1")
                refused = raised.value
                assert type(refused) is kind
                assert isinstance(refused, Refused)
                assert (refused.code, refused.reason, refused.request_id) == ("malformed", "MALFORMED", "0a-1")
                assert refused.details.fields == (("device_id", "is empty"),)
                assert refused.details.metadata == {"next_epoch": "7"}
                assert refused.status == status.name
                assert str(refused) == "malformed: words (request 0a-1)"

    asyncio.run(run())


def test_what_a_refusal_says_is_bounded(tmp_path: Path) -> None:
    async def run() -> None:
        async with faked(tmp_path) as (fake, platform):

            async def check(request: Any, context: Any) -> Any:
                await refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED", violations=50, words="w" * 2000)

            fake.check = check
            with pytest.raises(InvalidArgument) as refused:
                await platform.check("pump-1")
            assert (len(refused.value.message), len(refused.value.details.fields)) == (1000, 32)

            async def nonsense(request: Any, context: Any) -> Any:
                context.set_trailing_metadata((("grpc-status-details-bin", b"\xff" * 40),))
                await context.abort(grpc.StatusCode.UNAVAILABLE, "words")

            fake.check = nonsense
            with pytest.raises(TransportError):
                await platform.check("pump-1")

    asyncio.run(run())


def test_a_pause_from_the_network_is_bounded(tmp_path: Path) -> None:
    async def run() -> None:
        async with faked(tmp_path) as (fake, platform):
            answering(fake, 1, grpc.StatusCode.UNAVAILABLE, 10**9)
            with pytest.raises(TryLater) as refused:
                await platform.check("pump-1")
            assert refused.value.retry_after == 300

    asyncio.run(run())


def test_a_server_of_another_ca_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        fake = Fake()
        answering(fake, 0, grpc.StatusCode.OK, None)
        server, port = await fake.serve(ca=Ca())
        async with Platform(CA.identity(tmp_path / "identity", port), timeout=5, proxy=False) as platform:
            with pytest.raises(TransportError):
                await platform.ping()
            with pytest.raises(TransportError):
                await platform.check("pump-1")
        assert fake.calls == 0
        await server.stop(None)

    asyncio.run(run())


def test_one_subject_is_named() -> None:
    async def run() -> None:
        platform = Platform.__new__(Platform)
        for wrong in ({}, {"device_id": "pump-1", "serial": "00" * 16}, {"serial": "00" * 16, "fingerprint": "00" * 32}):
            with pytest.raises(ValueError, match="name one of"):
                await platform.check(**wrong)  # type: ignore[arg-type]
        for text in (b"-----BEGIN CERTIFICATE-----", "no PEM", "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----"):
            with pytest.raises(ValueError, match="PEM"):
                await platform.check(certificate=text)

    asyncio.run(run())


def test_a_word_of_a_later_release_is_none_of_those_that_are_known() -> None:
    later = Verdict(99)
    assert later not in set(Verdict) and str(later) == "unrecognized 99" and later == 99
    assert str(Reason.IN_GOOD_STANDING) == "in good standing"
    assert len(Verdict) == len(trust_pb2.Verdict.keys())
    with pytest.raises(ValueError, match="not a valid Verdict"):
        Verdict("trusted")  # type: ignore[arg-type]


def test_an_identity_that_was_renewed_is_gone_over_to(tmp_path: Path) -> None:
    async def run() -> None:
        async with faked(tmp_path) as (fake, platform):
            shown: list[bytes] = []

            async def check(request: Any, context: Any) -> Any:
                shown.append(context.auth_context()["x509_pem_cert"][0])
                return TRUSTED

            fake.check = check
            await platform.check("pump-1")
            assert not await platform.reload()
            directory, port = tmp_path / "identity", int(platform._identity.target.rpartition(":")[2])
            CA.identity(directory, port)
            assert await platform.reload()
            await platform.check("pump-1")
            assert shown[0] != shown[1]
            # Half of another is of no use, and the former goes on.
            (directory / "operator.key").write_bytes(CA.issued()[0])
            with pytest.raises(TransportError):
                await platform.reload()
            (directory / "operator.key").unlink()
            with pytest.raises(IdentityError):
                await platform.reload()
            assert (await platform.check("pump-1")).is_trusted

    asyncio.run(run())


def test_answers_on_a_stream_are_to_their_questions(tmp_path: Path) -> None:
    async def run() -> None:
        async with faked(tmp_path) as (fake, platform):
            sizes: list[int] = []

            async def stream(requests: Any, context: Any) -> AsyncIterator[Any]:
                async for request in requests:
                    sizes.append(len(request.device_ids))
                    if request.device_ids[0] == "busy" and sizes.count(1) == 1:
                        await refuse(context, grpc.StatusCode.UNAVAILABLE, "STOPPING", retry=0.05)
                    if request.device_ids[0] == "hang":
                        await asyncio.sleep(30)
                    results = [_result(each) for each in request.device_ids]
                    yield trust_pb2.CheckStreamResponse(results=results[: 1 if request.device_ids[0] == "short" else None])

            fake.stream = stream
            async with platform.check_stream() as checks:
                ids = [f"pump-{number}" for number in range(2500)]
                results = await checks.check(ids)
                assert [each.device_id for each in results if not isinstance(each, Refused)] == ids
                assert sizes == [1024, 1024, 452] and fake.calls == 1
                assert await checks.check([]) == []
                # Repeated where the refusal says so, on another stream.
                (busy,) = await checks.check(["busy"])
                assert busy.is_trusted if not isinstance(busy, Refused) else False
                assert fake.calls == 2
                with pytest.raises(DeadlineExceeded):
                    await checks.check(["hang"], timeout=0.2)
                # Whose turn does not come has a deadline, too.
                hanging = asyncio.create_task(checks.check(["hang"], timeout=0.5))
                await asyncio.sleep(0)
                with pytest.raises(DeadlineExceeded, match="others"):
                    await checks.check(["pump-1"], timeout=0.1)
                with pytest.raises(DeadlineExceeded):
                    await hanging
                with pytest.raises(TransportError, match="not to the question"):
                    await checks.check(["short", "pump-2"])
                (bad,) = await checks.check(["bad id"])
                assert isinstance(bad, InvalidArgument) and bad.code == "malformed"
                # Two at a time take turns.
                one, two = await asyncio.gather(checks.check(["pump-1"]), checks.check(["pump-2"]))
                assert [one[0].device_id, two[0].device_id] == ["pump-1", "pump-2"]  # type: ignore[union-attr]

    asyncio.run(run())


def _result(device_id: str) -> trust_pb2.CheckResult:
    if " " in device_id:
        return trust_pb2.CheckResult(failure=provisioning_pb2.Failure(status=3, code="malformed", message="device_id: …"))
    verdict = trust_pb2.DeviceVerdict(device_id=device_id, verdict=trust_pb2.VERDICT_TRUSTED)
    return trust_pb2.CheckResult(verdict=verdict)
