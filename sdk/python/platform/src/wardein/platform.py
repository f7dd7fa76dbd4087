"""A platform's calls, over one connection."""

import asyncio
import base64
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import grpc

from ._pb import trust_pb2
from .errors import answered
from .identity import Identity
from .retry import retrying
from .stream import CheckStream
from .verdicts import Checked, Login, ReceiptFor, Subject, checked, moment, subject
from .words import DeviceState

TRUST: Final = "/wardein.v1.TrustService/"
# The most that an answer may have. A page has 2 MiB.
_MOST_ANSWER: Final = 16 * 1024 * 1024
_OPTIONS: Final = (
    # Calls are repeated by `RetryInfo` alone.
    ("grpc.enable_retries", 0),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.max_receive_message_length", _MOST_ANSWER),
    # An authority that was restarted is found again soon.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # Another identity is another connection.
    ("grpc.use_local_subchannel_pool", 1),
)


class Platform:
    """The calls of a platform. It connects with the first of them, and again where the connection broke.

    Every method raises `Refused` or one of its kinds where the authority refuses, and `TransportError` where no answer of its came. A
    call takes `timeout` seconds at most, retries included; it is repeated only where a refusal has `RetryInfo`.
    """

    def __init__(
        self, identity: str | os.PathLike[str], *, endpoint: str | None = None, timeout: float = 10.0, proxy: bool = True
    ) -> None:
        """`identity` is a directory as `wardein operator issue` makes it. `endpoint`, https://HOST:PORT, takes the place of the one in it.
        `proxy` is whether `https_proxy` and `no_proxy` of the environment count."""
        self._directory = Path(identity)
        self._endpoint = endpoint
        self._timeout = timeout
        self._proxy = proxy
        self._identity = Identity.read(self._directory, endpoint)
        self._channel: grpc.aio.Channel | None = None
        self._reloading = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection, and what still runs over it."""
        channel, self._channel = self._channel, None
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        if channel is not None:
            await channel.close()

    async def ping(self) -> None:
        """Reaches the authority, so that a wrong endpoint or CA shows here and not at the first call."""
        await _ping(self.channel(), self._timeout)

    async def check(
        self,
        device_id: str | None = None,
        *,
        certificate: bytes | str | None = None,
        spiffe_id: str | None = None,
        serial: str | None = None,
        fingerprint: str | None = None,
        receipt: ReceiptFor | None = None,
        timeout: float | None = None,
    ) -> Checked:
        """The verdict on one device, now: by its id; by a certificate, DER or PEM, of which the first counts; by the SPIFFE id in one;
        by the serial number of one, 32 digits of lower-case hex; or by the fingerprint of one, which is the SHA-256 of its DER in hex.
        With `receipt` the answer comes as a signed receipt, too."""
        given = [each for each in (device_id, certificate, spiffe_id, serial, fingerprint) if each is not None]
        if len(given) != 1:
            raise ValueError("name one of device_id, certificate, spiffe_id, serial and fingerprint")
        request = trust_pb2.CheckRequest(
            device_id=device_id,
            certificate=None if certificate is None else _der(certificate),
            spiffe_id=spiffe_id,
            serial=serial,
            fingerprint=fingerprint,
        )
        if receipt is not None:
            request.receipt.audience, request.receipt.nonce = receipt.audience, receipt.nonce
        return checked(await self._call("Check", request, trust_pb2.CheckResponse, timeout))

    def check_stream(self) -> CheckStream:
        """A stream for the verdicts on many devices at a time; `async with` closes it."""
        return CheckStream(lambda: self._bidirectional("CheckStream"), self._timeout)

    async def verify_token(
        self, token: bytes, nonce: bytes = b"", *, idempotency_key: bytes | None = None, timeout: float | None = None
    ) -> Login:
        """Verifies the token that a device logs in with, and spends it; the right `token` is needed. `nonce` is the one that the platform
        gave the device for this login. A login whose answer was lost (`TransportError`) is repeated with the same `idempotency_key`, 16 to
        64 random bytes, which the caller drew for this login alone; without one, one is drawn here."""
        request = trust_pb2.VerifyTokenRequest(
            token=token, platform_nonce=nonce, idempotency_key=idempotency_key or secrets.token_bytes(16)
        )
        answer = await self._call("VerifyToken", request, trust_pb2.VerifyTokenResponse, timeout)
        issued_at = moment(answer.issued_at) if answer.HasField("issued_at") else None
        return Login(answer.user_name, checked(answer.trust), issued_at, answer.organization, tuple(answer.groups))

    async def subjects(
        self, *, state: DeviceState = DeviceState.UNSPECIFIED, profile: str = "", model: str = ""
    ) -> AsyncIterator[Subject]:
        """The devices of the tenant in order of their ids: those in that state, of that profile and of that model, where they are named."""
        token = b""
        while True:
            request = trust_pb2.ListSubjectsRequest(
                page_size=1000, page_token=token, state=state.value, profile=profile, model=model  # type: ignore[arg-type]
            )
            page = await self._call("ListSubjects", request, trust_pb2.ListSubjectsResponse, None)
            for each in page.subjects:
                yield subject(each)
            token = page.next_page_token
            if not token:
                return

    async def reload(self) -> bool:
        """Goes over to the identity that is in the directory by now, if it is another: whether it is. Calls that began before end on the
        former connection. Where the new one cannot be used, as while files are being replaced, this raises, and all goes on as before."""
        async with self._reloading:
            identity = await asyncio.to_thread(Identity.read, self._directory, self._endpoint)
            if identity == self._identity:
                return False
            channel = self._open(identity)
            try:
                await _ping(channel, self._timeout)
            except BaseException:
                await channel.close()
                raise
            former, self._channel, self._identity = self._channel, channel, identity
            if former is not None:
                closing = asyncio.create_task(former.close(self._timeout))
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)
            return True

    def channel(self) -> grpc.aio.Channel:
        """The connection that calls go over which begin now."""
        if self._channel is None:
            self._channel = self._open(self._identity)
        return self._channel

    def watch(self, request: trust_pb2.WatchRequest) -> Any:
        """One stream of Watch. `Watcher` goes on by itself where it ends."""
        method = self.channel().unary_stream(
            TRUST + "Watch",
            request_serializer=trust_pb2.WatchRequest.SerializeToString,
            response_deserializer=trust_pb2.WatchResponse.FromString,
        )
        return method(request)

    def _open(self, identity: Identity) -> grpc.aio.Channel:
        credentials = grpc.ssl_channel_credentials(identity.roots, identity.key, identity.certificates)
        options = [*_OPTIONS, ("grpc.enable_http_proxy", int(self._proxy))]
        return grpc.aio.secure_channel(identity.target, credentials, options)

    def _bidirectional(self, name: str) -> Any:
        method = self.channel().stream_stream(
            TRUST + name,
            request_serializer=trust_pb2.CheckStreamRequest.SerializeToString,
            response_deserializer=trust_pb2.CheckStreamResponse.FromString,
        )
        return method()

    async def _call(self, name: str, request: Any, response: Any, timeout: float | None) -> Any:
        async def attempt(left: float) -> Any:
            method = self.channel().unary_unary(
                TRUST + name, request_serializer=type(request).SerializeToString, response_deserializer=response.FromString
            )
            return await answered(method(request, timeout=left))

        return await retrying(attempt, self._timeout if timeout is None else timeout)


async def _ping(channel: grpc.aio.Channel, timeout: float) -> None:
    # An empty HealthCheckRequest is one for the whole server.
    health: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
    await answered(health(b"", timeout=timeout))


def _der(certificate: bytes | str) -> bytes:
    if isinstance(certificate, bytes):
        if _BEGIN.encode() not in certificate:
            return certificate
        certificate = certificate.decode("ascii", "replace")
    # The first one (RFC 7468, section 2).
    _, begin, rest = certificate.partition(_BEGIN)
    body, end, _ = rest.partition(_END)
    if not begin or not end:
        raise ValueError("there is no certificate in PEM")
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except ValueError:
        raise ValueError("the certificate is not in PEM") from None


_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_END: Final = "-----END CERTIFICATE-----"
