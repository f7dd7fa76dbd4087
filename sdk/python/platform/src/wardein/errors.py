"""What can go wrong, as exceptions: `google.rpc.Status` of a refusal, read once and bounded.

    WardeinError
    ├── IdentityError        the files of the identity are of no use
    └── CallError            a call failed
        ├── TransportError   there was no answer of the authority's
        │   └── DeadlineExceeded
        └── Refused          the authority refused: code, reason, request id
            ├── InvalidArgument, NotFound, Unauthenticated, PermissionDenied, FailedPrecondition, OutOfRange
            ├── TryLater     the same call succeeds later: `retry_after` says when, at the earliest
            └── AuthorityFault
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

# The longest pause, in seconds, that a peer may ask for; and the most that is kept of a text of its.
_LONGEST_PAUSE: Final = 300.0
_MOST_WORDS: Final = 1000
_MOST_FIELD: Final = 128
_MOST_DETAILS: Final = 32

T = TypeVar("T")


class WardeinError(Exception):
    """The base of all that this package raises."""


class IdentityError(WardeinError):
    """A file of the identity's directory is missing, open to others, or not what it should be."""


class CallError(WardeinError):
    """A call failed."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        # The name of the status in the specification of gRPC, such as `PERMISSION_DENIED`.
        self.status = status
        self.message = message


class TransportError(CallError):
    """No answer of the authority's came: it was not reached, is another's, or the connection broke. The call may have been carried out."""


class DeadlineExceeded(TransportError):
    """None came in time."""


@dataclass(frozen=True, slots=True)
class Details:
    """What `google.rpc.Status` says besides. Fields are empty where it says nothing."""

    # The code in AIP-193's spelling, such as `TOKEN_SPENT`; stable.
    reason: str
    # Under which the authority logged the call.
    request_id: str | None
    # The shortest pause, in seconds, after which the same call may succeed; None where none helps.
    retry_after: float | None
    # Of a malformed request, the field and what is wrong with it.
    fields: tuple[tuple[str, str], ...]
    # What must happen first.
    preconditions: tuple[str, ...]
    # What is not there, or there already: its kind and name.
    resource: tuple[str, str] | None
    metadata: dict[str, str]


class Refused(CallError):
    """The authority refused."""

    def __init__(self, status: str, message: str, details: Details) -> None:
        super().__init__(status, message)
        self.details = details

    @property
    def reason(self) -> str:
        """The stable code in AIP-193's spelling, such as `TOKEN_SPENT`."""
        return self.details.reason

    @property
    def code(self) -> str:
        """The stable code as deploy/TROUBLESHOOTING.md lists it, such as `token-spent`."""
        return self.details.reason.lower().replace("_", "-")

    @property
    def request_id(self) -> str | None:
        """The id under which the authority logged the call."""
        return self.details.request_id

    @property
    def retry_after(self) -> float | None:
        """The shortest pause, in seconds, after which the same call may succeed; None where it never does."""
        return self.details.retry_after

    def __str__(self) -> str:
        request = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.code}: {self.message}{request}"


class InvalidArgument(Refused):
    """The request is malformed; `details.fields` says where."""


class NotFound(Refused):
    """What was asked about is not there."""


class Unauthenticated(Refused):
    """The identity is unknown, revoked or has ended."""


class PermissionDenied(Refused):
    """The identity may not make this call."""


class FailedPrecondition(Refused):
    """Something must happen first; or, of a token, it is spent or not good."""


class OutOfRange(Refused):
    """Of a watch: the authority has nothing from that revision on."""


class TryLater(Refused):
    """The same call succeeds later: the authority is busy, or is stopping."""


class AuthorityFault(Refused):
    """A fault of the authority's; its log has the request id."""


_BY_STATUS: Final[dict[str, type[Refused]]] = {
    "INVALID_ARGUMENT": InvalidArgument,
    "NOT_FOUND": NotFound,
    "UNAUTHENTICATED": Unauthenticated,
    "PERMISSION_DENIED": PermissionDenied,
    "FAILED_PRECONDITION": FailedPrecondition,
    "OUT_OF_RANGE": OutOfRange,
    "UNAVAILABLE": TryLater,
    "RESOURCE_EXHAUSTED": TryLater,
    "INTERNAL": AuthorityFault,
}


async def answered(awaited: Awaitable[T]) -> T:
    """What a call answers; what gRPC raises becomes ours."""
    try:
        return await awaited
    except grpc.aio.AioRpcError as error:
        raise call_error(error) from None
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # Not this task was canceled, but the call, with its connection.
        raise TransportError("CANCELLED", "the connection was closed") from None


def call_error(error: grpc.aio.AioRpcError) -> CallError:
    """The exception for what gRPC reports. What is not marked as the authority's counts as the transport's."""
    status = error.code().name
    message = (error.details() or "")[:_MOST_WORDS]
    # The stubs of types do not know that an entry is a pair.
    pairs: Any = error.trailing_metadata() or ()
    for name, value in pairs:
        if name == "grpc-status-details-bin" and isinstance(value, bytes):
            details = _details(value)
            if details is not None:
                return refused(status, message, details)
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(status, message)
    return TransportError(status, message or "the authority was not reached")


def refused(status: str, message: str, details: Details) -> Refused:
    """The exception for that status."""
    return _BY_STATUS.get(status, Refused)(status, message, details)


def of_failure(status: int, code: str, message: str) -> Refused:
    """The exception for a failure within a stream, which has status and code alone."""
    names = {each.value[0]: each.name for each in grpc.StatusCode}
    reason = code[:_MOST_FIELD].upper().replace("-", "_")
    details = Details(reason, None, None, (), (), None, {})
    return refused(names.get(status, "UNKNOWN"), message[:_MOST_WORDS], details)


def _details(value: bytes) -> Details | None:
    """The details of a refusal; None where they are not the authority's."""
    try:
        status = status_pb2.Status.FromString(value)
        found: dict[type[Message], Any] = {}
        for each in list(status.details)[:_MOST_DETAILS]:
            for kind in _KINDS:
                if each.Is(kind.DESCRIPTOR):
                    found[kind] = kind.FromString(each.value)
    except DecodeError:
        return None
    info = found.get(error_details_pb2.ErrorInfo)
    if info is None or info.domain != "wardein" or not info.reason:
        return None
    request = found.get(error_details_pb2.RequestInfo)
    bad = found.get(error_details_pb2.BadRequest)
    first = found.get(error_details_pb2.PreconditionFailure)
    resource = found.get(error_details_pb2.ResourceInfo)
    return Details(
        reason=_short(info.reason),
        request_id=_short(request.request_id) if request else None,
        retry_after=_pause(found.get(error_details_pb2.RetryInfo)),
        fields=tuple((_short(each.field), each.description[:_MOST_WORDS]) for each in bad.field_violations[:_MOST_DETAILS])
        if bad
        else (),
        preconditions=tuple(each.description[:_MOST_WORDS] for each in first.violations[:_MOST_DETAILS]) if first else (),
        resource=(_short(resource.resource_type), _short(resource.resource_name)) if resource else None,
        metadata={_short(name): _short(text) for name, text in list(info.metadata.items())[:_MOST_DETAILS]},
    )


def _pause(retry: Any) -> float | None:
    if retry is None:
        return None
    seconds = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    return float(min(max(0.0, seconds), _LONGEST_PAUSE))


def _short(text: str) -> str:
    return text[:_MOST_FIELD]


_KINDS: Final = (
    error_details_pb2.ErrorInfo,
    error_details_pb2.RequestInfo,
    error_details_pb2.RetryInfo,
    error_details_pb2.BadRequest,
    error_details_pb2.PreconditionFailure,
    error_details_pb2.ResourceInfo,
)
