"""The authority over gRPC: an optional extra, `wardein_device[grpc]`. The contract is proto/README.md.

Messages of section 11 become those of proto/ and back; nothing is decided here.
"""

from types import TracebackType
from typing import Any, Final, Self

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from ._pb import device_pb2, provisioning_pb2
from .attributes import MOST
from .errors import Malformed
from .keys import Schedule
from .messages import Challenge, Confirmation, EnrollmentReply, EnrollmentRequest, Proof, Reply
from .refusals import Refused
from .renewal import Window
from .session import Answer

# No call takes longer than this many seconds.
PATIENCE: Final = 30.0
_DEVICE: Final = "/wardein.v1.DeviceService/"
_PROVISIONING: Final = "/wardein.v1.ProvisioningService/"


class _Caller:
    def __init__(self, target: str, credentials: grpc.ChannelCredentials, proxy: bool) -> None:
        self._channel = grpc.secure_channel(target, credentials, [("grpc.enable_http_proxy", int(proxy))])

    def _call(self, method: str, request: Any, response: Any) -> Any:
        call = self._channel.unary_unary(
            method, request_serializer=type(request).SerializeToString, response_deserializer=response.FromString
        )
        try:
            return call(request, timeout=PATIENCE)
        except grpc.RpcError as error:
            raise _refused(error) from None

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Authority(_Caller):
    """A device's calls: a `Transport`."""

    def __init__(self, target: str, trust_roots: bytes, proxy: bool = True) -> None:
        """`target` is host:port; `trust_roots` is the PEM that verifies the server, `infrastructure.pem`."""
        super().__init__(target, grpc.ssl_channel_credentials(trust_roots), proxy)

    def challenge(self, tenant: str, device_id: str) -> bytes:
        request = device_pb2.GetChallengeRequest(tenant=tenant, device_id=device_id)
        response = self._call(_DEVICE + "GetChallenge", request, device_pb2.GetChallengeResponse)
        if len(response.recipe) > MOST:
            raise Malformed("recipe", f"names more than {MOST} attributes")
        return Challenge(response.challenge, response.server_time_seconds, tuple(response.recipe)).encode()

    def prove(self, proof: bytes, body: bytes) -> Answer:
        proved = Proof.decode(proof)
        request = device_pb2.ProveRequest(
            tenant=proved.tenant,
            device_id=proved.device_id,
            challenge=proved.challenge,
            device_nonce=proved.device_nonce,
            generation=proved.generation,
            epoch=proved.epoch,
            number=proved.number,
            action=proved.action,
            body=body,
            mac=proved.mac,
        )
        response = self._call(_DEVICE + "Prove", request, device_pb2.ProveResponse)
        if len(response.ack) != 32:
            raise Malformed("ack", "has not 32 bytes")
        reply = Reply(response.server_time_seconds, response.ack, response.body).encode()
        window = Window(response.renewal.start_seconds, response.renewal.end_seconds)
        return Answer(reply, response.rekey_due, window if response.HasField("renewal") else None)

    def confirm(self, confirmation: bytes) -> None:
        parsed = Confirmation.decode(confirmation)
        request = device_pb2.ConfirmEnrollmentRequest(
            tenant=parsed.tenant, device_id=parsed.device_id, device_confirmation=parsed.device_confirmation
        )
        self._call(_DEVICE + "ConfirmEnrollment", request, device_pb2.ConfirmEnrollmentResponse)


class Station(_Caller):
    """A factory station that relays an enrollment, and learns no secret."""

    def __init__(self, target: str, trust_roots: bytes, key: bytes, certificate: bytes, proxy: bool = True) -> None:
        """Of the station's identity directory: `infrastructure.pem`, `operator.key`, `operator.pem`."""
        super().__init__(target, grpc.ssl_channel_credentials(trust_roots, key, certificate), proxy)

    def enroll(self, request: bytes, profile: str = "", model: str = "", udi: str = "") -> bytes:
        """From kind 1 to kind 2. The tenant is the station's."""
        asked = EnrollmentRequest.decode(request)
        attributes = [provisioning_pb2.Attribute(name=name, value=value) for name, value in asked.attributes.items()]
        response = self._call(
            _PROVISIONING + "Enroll",
            provisioning_pb2.EnrollRequest(
                device_id=asked.device_id,
                suite=asked.suite,
                device_nonce=asked.device_nonce,
                device_share=asked.device_share,
                attributes=attributes,
                profile=profile,
                model=model,
                udi=udi,
            ),
            provisioning_pb2.EnrollResponse,
        )
        times = Schedule(response.schedule.period_seconds, response.schedule.max_uses, response.schedule.not_before_seconds)
        return EnrollmentReply(
            asked.suite, response.authority_share, response.generation, times, response.signature, response.authority_confirmation
        ).encode()

    def confirm(self, confirmation: bytes) -> None:
        parsed = Confirmation.decode(confirmation)
        request = provisioning_pb2.ConfirmRequest(
            device_id=parsed.device_id, device_confirmation=parsed.device_confirmation
        )
        self._call(_PROVISIONING + "Confirm", request, provisioning_pb2.ConfirmResponse)


def _refused(error: grpc.RpcError) -> Refused:
    """Code and epoch are trailers; a pause is in `google.rpc.RetryInfo`. All of it is from the network, and bounded."""
    # The stubs of types do not know that an entry is a pair.
    pairs: Any = error.trailing_metadata() or ()
    trailers = {name: value for name, value in pairs if isinstance(value, str)}
    code, epoch = trailers.get("wardein-code"), trailers.get("wardein-next-epoch", "")
    named = int(epoch) if epoch.isascii() and epoch.isdigit() and len(epoch) <= 10 else None
    words = (error.details() or "")[:500] if code else ""
    return Refused(code, error.code().name, named, _pause(error) if code else None, words)


def _pause(error: grpc.RpcError) -> float | None:
    try:
        status = rpc_status.from_call(error)
        for detail in status.details if status else ():
            retry = error_details_pb2.RetryInfo()
            if detail.Is(retry.DESCRIPTOR) and detail.Unpack(retry):
                # At most an hour: nothing authenticates it.
                return float(min(max(0.0, retry.retry_delay.ToTimedelta().total_seconds()), 3600.0))
    except (DecodeError, ValueError, OverflowError):
        pass
    return None
