"""A service of trust that says what a test wants, behind real TLS, and an identity to reach it with."""

import asyncio
import datetime
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from wardein import Platform
from wardein._pb import trust_pb2

Handler = Callable[[Any, grpc.aio.ServicerContext[Any, Any]], Awaitable[Any]]
Watching = Callable[[trust_pb2.WatchRequest, grpc.aio.ServicerContext[Any, Any]], AsyncIterator[trust_pb2.WatchResponse]]


class Ca:
    """One that certifies the server and the operator."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "infrastructure")])
        self._name = name
        basic = x509.BasicConstraints(ca=True, path_length=None)
        self._root = _dated(name, name, self._key).add_extension(basic, True).sign(self._key, hashes.SHA256())
        self.pem = self._root.public_bytes(serialization.Encoding.PEM)

    def issued(self) -> tuple[bytes, bytes]:
        """Key and certificate for 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        certificate = _dated(x509.Name([]), self._name, key).add_extension(names, True).sign(self._key, hashes.SHA256())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return pem, certificate.public_bytes(serialization.Encoding.PEM)

    def identity(self, directory: Path, port: int) -> Path:
        """The directory of one."""
        directory.mkdir(exist_ok=True)
        key, certificate = self.issued()
        (directory / "operator.key").touch(mode=0o600)
        (directory / "operator.key").write_bytes(key)
        (directory / "operator.pem").write_bytes(certificate + self.pem)
        (directory / "infrastructure.pem").write_bytes(self.pem)
        (directory / "operator.json").write_text(json.dumps({"endpoint": f"https://127.0.0.1:{port}"}))
        return directory


def _dated(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
    )


CA = Ca()


class Fake:
    """The service. Its handlers may be replaced at any time."""

    def __init__(self) -> None:
        self.check: Handler = _unexpected
        self.watch: Watching = _nothing
        self.stream: Watching = _nothing
        self.calls = 0

    async def _check(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        self.calls += 1
        return await self.check(request, context)

    async def _watch(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        self.calls += 1
        async for message in self.watch(request, context):
            yield message

    async def _stream(self, requests: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        self.calls += 1
        async for message in self.stream(requests, context):
            yield message

    async def serve(self, port: int = 0, ca: Ca = CA) -> tuple[grpc.aio.Server, int]:
        """At that port of 127.0.0.1; 0 for one that is free."""
        server = grpc.aio.server()
        unary = grpc.unary_unary_rpc_method_handler(
            self._check, trust_pb2.CheckRequest.FromString, trust_pb2.CheckResponse.SerializeToString
        )
        watch = grpc.unary_stream_rpc_method_handler(
            self._watch, trust_pb2.WatchRequest.FromString, trust_pb2.WatchResponse.SerializeToString
        )
        stream = grpc.stream_stream_rpc_method_handler(
            self._stream, trust_pb2.CheckStreamRequest.FromString, trust_pb2.CheckStreamResponse.SerializeToString
        )
        methods: dict[str, Any] = {"Check": unary, "Watch": watch, "CheckStream": stream}
        health: dict[str, Any] = {"Check": grpc.unary_unary_rpc_method_handler(_healthy)}
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler("wardein.v1.TrustService", methods),
                grpc.method_handlers_generic_handler("grpc.health.v1.Health", health),
            )
        )
        key, certificate = ca.issued()
        credentials = grpc.ssl_server_credentials([(key, certificate)], CA.pem, require_client_auth=True)
        bound = server.add_secure_port(f"127.0.0.1:{port}", credentials)
        await server.start()
        return server, bound


@asynccontextmanager
async def faked(directory: Path, timeout: float = 5.0) -> AsyncIterator[tuple[Fake, Platform]]:
    """The service, and a platform that is connected to it."""
    fake = Fake()
    server, port = await fake.serve()
    try:
        async with Platform(CA.identity(directory / "identity", port), timeout=timeout, proxy=False) as platform:
            yield fake, platform
    finally:
        await server.stop(None)


async def refuse(
    context: grpc.aio.ServicerContext[Any, Any],
    status: grpc.StatusCode,
    reason: str,
    *,
    retry: float | None = None,
    domain: str = "wardein",
    violations: int = 1,
    words: str = "words",
) -> None:
    """As the authority refuses."""
    details: list[Any] = [
        error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata={"next_epoch": "7"}),
        error_details_pb2.RequestInfo(request_id="0a-1"),
    ]
    if retry is not None:
        pause = duration_pb2.Duration(seconds=int(retry), nanos=int(retry % 1 * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=pause))
    if reason == "MALFORMED":
        bad = error_details_pb2.BadRequest.FieldViolation(field="device_id", description="is empty")
        details.append(error_details_pb2.BadRequest(field_violations=[bad] * violations))
    packed = []
    for each in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(each)
    said = status_pb2.Status(code=status.value[0], message=words, details=packed)
    context.set_trailing_metadata((("grpc-status-details-bin", said.SerializeToString()),))
    await context.abort(status, words)


async def _unexpected(request: Any, context: Any) -> Any:
    raise AssertionError


async def _nothing(request: Any, context: Any) -> AsyncIterator[Any]:
    await asyncio.Event().wait()
    yield


async def _healthy(request: bytes, context: Any) -> bytes:
    # SERVING.
    return b"\x08\x01"
