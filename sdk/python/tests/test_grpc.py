"""What an authority, or anybody who answers in its place, may send over gRPC."""

from typing import Any

import pytest

pytest.importorskip("grpc")

import grpc  # noqa: E402
from google.protobuf import duration_pb2  # noqa: E402
from google.rpc import code_pb2, error_details_pb2, status_pb2  # noqa: E402

from wardein_device import Action, Malformed  # noqa: E402
from wardein_device._pb import device_pb2, provisioning_pb2  # noqa: E402
from wardein_device.grpc import Authority, Station, _refused  # noqa: E402
from wardein_device.messages import Challenge, EnrollmentReply, EnrollmentRequest, Proof, Reply  # noqa: E402

B32 = bytes(32)
PROOF = Proof("klinik", "pump-1", b"c", B32, 1, 0, 0, "authenticate", B32, B32).encode()


def answering(kind: Any, answer: Any) -> Any:
    """A caller whose every call is answered so."""
    caller = kind.__new__(kind)
    caller._call = lambda method, request, response: answer
    return caller


@pytest.mark.parametrize(
    "recipe",
    [["a"] * 300, ["a"] * 65, ["a", "a"], ["a b"], [""], ["a" * 65], ["\u00e4"]],
)
def test_a_recipe_out_of_bounds(recipe: list[str]) -> None:
    response = device_pb2.GetChallengeResponse(challenge=b"c", recipe=recipe)
    with pytest.raises(Malformed):
        _ask(answering(Authority, response))


@pytest.mark.parametrize("challenge", [b"", bytes(256), bytes(100_000)])
def test_a_challenge_out_of_bounds(challenge: bytes) -> None:
    with pytest.raises(Malformed):
        _ask(answering(Authority, device_pb2.GetChallengeResponse(challenge=challenge)))


def _ask(authority: Any) -> None:
    Challenge.decode(authority.challenge("klinik", "pump-1"))


@pytest.mark.parametrize("ack", [b"", bytes(31), bytes(33)])
def test_an_ack_of_another_length(ack: bytes) -> None:
    with pytest.raises(Malformed):
        answering(Authority, device_pb2.ProveResponse(ack=ack)).prove(PROOF, b"")


def test_a_body_that_is_too_long() -> None:
    response = device_pb2.ProveResponse(ack=B32, body=bytes((1 << 20) + 1))
    with pytest.raises(Malformed):
        Reply.decode(answering(Authority, response).prove(PROOF, b"").reply)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("authority_share", bytes(64)),
        ("generation", 0),
        ("signature", bytes(73)),
        ("authority_confirmation", bytes(31)),
        ("authority_confirmation", bytes(33)),
    ],
)
def test_an_enrollment_reply_out_of_bounds(field: str, value: Any) -> None:
    request = EnrollmentRequest(1, "klinik", "pump-1", B32, bytes(65), {}).encode()
    right: dict[str, Any] = dict(authority_share=bytes(65), generation=1, signature=bytes(72), authority_confirmation=B32)
    EnrollmentReply.decode(answering(Station, provisioning_pb2.EnrollResponse(**right)).enroll(request))
    wrong = provisioning_pb2.EnrollResponse(**{**right, field: value})
    with pytest.raises(Malformed):
        EnrollmentReply.decode(answering(Station, wrong).enroll(request))


class Failed(grpc.RpcError):
    def __init__(self, code: Any, trailers: Any, words: str | None = "words") -> None:
        self._code, self._trailers, self._words = code, trailers, words

    def code(self) -> Any:
        return self._code

    def details(self) -> str | None:
        return self._words

    def trailing_metadata(self) -> Any:
        return self._trailers


def details(pause: duration_pb2.Duration | None) -> bytes:
    status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message="words")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="OVERLOADED"))
    if pause is not None:
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=pause))
    return bytes(status.SerializeToString())


@pytest.mark.parametrize(
    ("epoch", "named"),
    [("70", 70), ("4294967295", 4294967295), ("", None), ("-1", None), ("x", None), ("9" * 11, None), ("\u0661", None)],
)
def test_an_epoch_that_is_named(epoch: str, named: int | None) -> None:
    trailers = (("wardein-code", "epoch-spent"), ("wardein-next-epoch", epoch))
    refused = _refused(Failed(grpc.StatusCode.FAILED_PRECONDITION, trailers))
    assert (refused.code, refused.status, refused.epoch) == ("epoch-spent", "FAILED_PRECONDITION", named)


@pytest.mark.parametrize(
    ("pause", "seconds"),
    [
        (duration_pb2.Duration(seconds=30), 30),
        (duration_pb2.Duration(seconds=10**9), 3600),
        (duration_pb2.Duration(seconds=-5), 0),
        (duration_pb2.Duration(seconds=2**62), None),
        (None, None),
    ],
)
def test_a_pause_that_is_named(pause: duration_pb2.Duration | None, seconds: float | None) -> None:
    trailers = (("wardein-code", "overloaded"), ("grpc-status-details-bin", details(pause)))
    refused = _refused(Failed(grpc.StatusCode.UNAVAILABLE, trailers))
    assert (refused.action, refused.pause) == (Action.WAIT, seconds)


@pytest.mark.parametrize(
    "trailers",
    [None, (), (("wardein-code", b"suspended"),), (("grpc-status-details-bin", details(duration_pb2.Duration(seconds=9))),)],
)
def test_an_answer_without_a_code_is_not_the_authoritys(trailers: Any) -> None:
    refused = _refused(Failed(grpc.StatusCode.PERMISSION_DENIED, trailers, None))
    assert (refused.code, refused.action, refused.pause) == (None, Action.WAIT, None)


def test_details_that_are_none() -> None:
    for data in (b"\xff\xff", b"", details(None)[:-3]):
        trailers = (("wardein-code", "overloaded"), ("grpc-status-details-bin", data))
        assert _refused(Failed(grpc.StatusCode.UNAVAILABLE, trailers)).pause is None


def test_words_are_cut() -> None:
    refused = _refused(Failed(grpc.StatusCode.UNAVAILABLE, (("wardein-code", "overloaded"),), "x" * 10**6))
    assert len(str(refused)) < 600
