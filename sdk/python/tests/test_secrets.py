"""No secret is in what is printed, nor in an error."""

import base64
import traceback

import pytest

from conftest import ATTRIBUTES, Found, House
from wardein_device import DeviceError, Refused
from wardein_device.enroll import agreed
from wardein_device.messages import EnrollmentRequest
from wardein_device.state import State



def forms(secret: bytes) -> list[str]:
    """In the ways in which bytes are printed. A quarter of it is too much."""
    part = secret[: max(8, len(secret) // 4)]
    return [repr(part)[2:-1], part.hex(), base64.b64encode(part).decode()[:10], ", ".join(map(str, part))]


def secrets_of(house: House) -> list[bytes]:
    state = State.decode(house.saved[-1])
    nodes = [branch.tree.encode() for branch in state.branches.values()]
    found = [encoded[at + 5 : at + 37] for encoded in nodes for at in range(0, len(encoded), 37)]
    return [*found, *ATTRIBUTES.values(), *([state.confirmation] if state.confirmation else [])]


def assert_silent(shown: str, secrets: list[bytes]) -> None:
    for secret in secrets:
        for form in forms(secret):
            assert form not in shown, form


@pytest.mark.parametrize("suite", [1, 2])
def test_nothing_that_is_printed_has_a_secret(found: Found, suite: int) -> None:
    house = found(suite)
    device = house.device
    secrets = secrets_of(house)
    request = device.rekey(device.ask(), house.authority.challenge("", ""), suite, ATTRIBUTES)
    secrets += [request._ack_key, request._epoch_secret]
    asked = EnrollmentRequest.decode(house.enrolling.request)
    tree = State.decode(house.saved[-1]).branches["proof"].tree
    ikm, t = bytes(range(64)), bytes(range(32))
    keys = agreed(ikm, t)
    secrets += [keys.root, keys.device_confirmation]
    things = [keys, device, request, house.enrolling, request._ephemeral, tree, tree._nodes, asked, house.session]
    for thing in things:
        for shown in (repr(thing), str(thing), f"{thing}", f"{[thing]}"):
            assert_silent(shown, secrets)
    assert_silent(repr(asked), secrets)


def test_no_error_has_a_secret(found: Found) -> None:
    house = found()
    device, secrets = house.device, secrets_of(house)
    errors: list[DeviceError] = []

    def fails(act: object, *arguments: object) -> None:
        with pytest.raises(DeviceError) as error:
            act(*arguments)  # type: ignore[operator]
        errors.append(error.value)

    request = device.prove(device.ask(), house.authority.challenge("", ""), "authenticate", b"", ATTRIBUTES)
    reply = house.authority.prove(request.message, b"").reply
    fails(device.acknowledge, request, reply[:-1])
    fails(device.acknowledge, request, reply[:20] + bytes([reply[20] ^ 1]) + reply[21:])
    fails(house.enrolling.finish, reply, house.saved.append)
    fails(device.prove, device.ask(), house.authority.challenge("", ""), "authenticate", b"", {"board": b"rev-b secret"})
    fails(device.token, "iot")
    fails(State.decode, house.saved[-1][:-1])
    fails(State.decode, house.saved[-1].replace(b'"number": 1', b'"number": -1'))
    errors.append(Refused("mac-wrong", "UNAUTHENTICATED"))
    for error in errors:
        assert_silent(repr(error) + str(error) + "".join(traceback.format_exception(error)), secrets)


def test_the_forms_are_found() -> None:
    """The control."""
    with pytest.raises(AssertionError):
        assert_silent(repr({"k": bytes(range(32))}), [bytes(range(32))])
    with pytest.raises(AssertionError):
        assert_silent(bytes(range(32)).hex(), [bytes(range(32))])
