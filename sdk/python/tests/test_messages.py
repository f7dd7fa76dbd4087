"""SPEC section 11: one encoding of each value, no byte less, and none more."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from wardein_device import from_text, to_text
from wardein_device.actions import RekeyReply, certificates
from wardein_device.errors import Malformed
from wardein_device.keys import Schedule
from wardein_device.messages import (
    Challenge,
    Confirmation,
    EnrollmentReply,
    EnrollmentRequest,
    Proof,
    Reply,
    SealedPayload,
    Token,
    put_schedule,
)
from wardein_device.names import KeyName
from wardein_device.primitives import frame, u64
from wardein_device.suite import Ephemeral
from wardein_device.tree import Tree
from wardein_device.wire import Reader

B32 = bytes(range(32))
TIMES = Schedule(3600, 1000, 1_790_000_000)
WHO = ("klinik-nord", "pump-0001")

MESSAGES: list[Any] = [
    EnrollmentRequest(1, *WHO, B32, b"\4" + bytes(64), {"a": b"", "b": b"x"}),
    EnrollmentRequest(2, *WHO, B32, bytes(1249), {}),
    EnrollmentReply(1, bytes(65), 1, TIMES, bytes(72), B32),
    EnrollmentReply(2, bytes(1153), 2**64 - 1, TIMES, bytes(8), B32),
    Confirmation(*WHO, B32),
    Challenge(b"x", 7, ()),
    Challenge(bytes(255), 2**64 - 1, ("firmware", "board")),
    Proof(*WHO, b"c", B32, 1, 2**32 - 1, 2**63 - 1, "trust-bundle", B32, B32),
    Reply(7, B32, b""),
    Reply(7, B32, bytes(1 << 20)),
    Token(*WHO, 1, 0, 0, "a", b"", 0, B32),
    Token(*WHO, 1, 0, 0, "ä" * 127, bytes(64), 2**64 - 1, B32),
    SealedPayload(KeyName(*WHO, 1, "data", 0, 0), bytes(12), bytes(16)),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_is_read_back_and_no_other_length_is(message: Any) -> None:
    encoded = message.encode()
    decode: Callable[[bytes], Any] = type(message).decode
    assert decode(encoded) == message
    assert decode(encoded).encode() == encoded
    # The attributes of a request run to its end, so some of its beginnings are requests.
    beginnings = range(min(len(encoded), 3000))
    taken = [length for length in beginnings if _is_taken(decode, encoded[:length])]
    expected = 2 if isinstance(message, EnrollmentRequest) and message.attributes else 0
    assert len(taken) == expected
    for more in (b"\0", b"\0\0\0\1a", encoded):
        with pytest.raises(Malformed):
            decode(encoded + more)
    for kind in {0, 1, 2, 3, 4, 5, 6, 7, 8, 255} - {encoded[0]}:
        with pytest.raises(Malformed, match="kind"):
            decode(bytes([kind]) + encoded[1:])


def _is_taken(decode: Callable[[bytes], Any], data: bytes) -> bool:
    try:
        decode(data)
    except Malformed:
        return False
    return True


def head(kind: int, tenant: bytes = b"klinik", device: bytes = b"pump-1") -> bytes:
    return bytes([kind]) + frame(tenant) + frame(device)


def enrollment(suite: int = 1, share: int = 65, rest: bytes = b"", tenant: bytes = b"klinik") -> bytes:
    return bytes([1]) + suite.to_bytes(2, "big") + head(1, tenant)[1:] + B32 + frame(bytes(share)) + rest


def attribute(name: bytes, value: bytes = b"x") -> bytes:
    return frame(name) + frame(value)


def recipe(*names: bytes) -> bytes:
    return bytes([4]) + frame(b"c") + u64(0) + bytes([len(names)]) + b"".join(map(frame, names))


def sealed(name: bytes, tag: int = 16) -> bytes:
    return bytes([8]) + frame(name) + bytes(12) + frame(bytes(tag))


def token(audience: bytes = b"iot", nonce: int = 0, generation: int = 1) -> bytes:
    return head(7) + u64(generation) + bytes(12) + frame(audience) + frame(bytes(nonce)) + u64(0) + B32


WRONG: list[tuple[str, Callable[[bytes], Any], bytes, bytes]] = [
    ("suite 0", EnrollmentRequest.decode, enrollment(), enrollment(0)),
    ("suite 3", EnrollmentRequest.decode, enrollment(), enrollment(3)),
    ("a share of suite 2 in suite 1", EnrollmentRequest.decode, enrollment(2, 1249), enrollment(1, 1249)),
    ("a share of suite 1 in suite 2", EnrollmentRequest.decode, enrollment(), enrollment(2, 65)),
    ("a share one short", EnrollmentRequest.decode, enrollment(), enrollment(1, 64)),
    ("an empty tenant", EnrollmentRequest.decode, enrollment(), enrollment(tenant=b"")),
    ("a tenant with a capital", EnrollmentRequest.decode, enrollment(), enrollment(tenant=b"Klinik")),
    ("a tenant that starts with -", EnrollmentRequest.decode, enrollment(), enrollment(tenant=b"-k")),
    ("a tenant that ends with -", EnrollmentRequest.decode, enrollment(), enrollment(tenant=b"k-")),
    ("a tenant of 64", EnrollmentRequest.decode, enrollment(tenant=b"k" * 63), enrollment(tenant=b"k" * 64)),
    ("a tenant with a line break", EnrollmentRequest.decode, enrollment(), enrollment(tenant=b"k\n")),
    ("a tenant that is not UTF-8", EnrollmentRequest.decode, enrollment(), enrollment(tenant=b"\xff")),
    (
        "attributes out of order",
        EnrollmentRequest.decode,
        enrollment(rest=attribute(b"a") + attribute(b"b")),
        enrollment(rest=attribute(b"b") + attribute(b"a")),
    ),
    (
        "an attribute twice",
        EnrollmentRequest.decode,
        enrollment(rest=attribute(b"a")),
        enrollment(rest=attribute(b"a") + attribute(b"a")),
    ),
    (
        "65 attributes",
        EnrollmentRequest.decode,
        enrollment(rest=b"".join(attribute(b"%02d" % n) for n in range(64))),
        enrollment(rest=b"".join(attribute(b"%02d" % n) for n in range(65))),
    ),
    (
        "an attribute with a space in its name",
        EnrollmentRequest.decode,
        enrollment(rest=attribute(b"a")),
        enrollment(rest=attribute(b"a b")),
    ),
    (
        "an attribute's name of 65",
        EnrollmentRequest.decode,
        enrollment(rest=attribute(b"a" * 64)),
        enrollment(rest=attribute(b"a" * 65)),
    ),
    (
        "an attribute's value of 4097",
        EnrollmentRequest.decode,
        enrollment(rest=attribute(b"a", bytes(4096))),
        enrollment(rest=attribute(b"a", bytes(4097))),
    ),
    (
        "generation 0",
        EnrollmentReply.decode,
        EnrollmentReply(1, bytes(65), 1, TIMES, bytes(72), B32).encode(),
        EnrollmentReply(1, bytes(65), 0, TIMES, bytes(72), B32).encode(),
    ),
    (
        "a signature of 73",
        EnrollmentReply.decode,
        EnrollmentReply(1, bytes(65), 1, TIMES, bytes(72), B32).encode(),
        EnrollmentReply(1, bytes(65), 1, TIMES, bytes(73), B32).encode(),
    ),
    ("a device id with a slash", Confirmation.decode, head(3) + B32, head(3, device=b"a/b") + B32),
    ("a device id of 129", Confirmation.decode, head(3, device=b"a" * 128) + B32, head(3, device=b"a" * 129) + B32),
    ("an empty challenge", Challenge.decode, Challenge(b"c", 0, ()).encode(), Challenge(b"", 0, ()).encode()),
    (
        "a challenge of 256",
        Challenge.decode,
        Challenge(bytes(255), 0, ()).encode(),
        Challenge(bytes(256), 0, ()).encode(),
    ),
    ("a recipe with a name twice", Challenge.decode, recipe(b"a", b"b"), recipe(b"a", b"a")),
    (
        "a recipe of 65",
        Challenge.decode,
        recipe(*(b"%02d" % n for n in range(64))),
        recipe(*(b"%02d" % n for n in range(65))),
    ),
    ("an empty audience", Token.decode, token(), token(audience=b"")),
    *(
        (f"an audience with {each!a}", Token.decode, token(audience="a\u00a0b „1“".encode()), token(audience=f"a{each}b".encode()))
        for each in "\n\x00\x7f\x85\xad\u200b\u202e\u2028\u2029\ufeff\U000e0041"
    ),
    ("an audience of 256", Token.decode, token(audience=b"a" * 255), token(audience=b"a" * 256)),
    ("a platform nonce of 65", Token.decode, token(nonce=64), token(nonce=65)),
    ("a token of generation 0", Token.decode, token(), token(generation=0)),
    (
        "a body above 1 MiB",
        Reply.decode,
        Reply(0, B32, bytes(1 << 20)).encode(),
        Reply(0, B32, bytes((1 << 20) + 1)).encode(),
    ),
    ("a ciphertext without a tag", SealedPayload.decode, sealed(b"ddkg1:k/d/1.data.0.0"), sealed(b"ddkg1:k/d/1.data.0.0", 15)),
    *(
        (f"the key name {name.decode()}", SealedPayload.decode, sealed(b"ddkg1:k/d/1.data.0.0"), sealed(name))
        for name in (
            b"",
            b"ddkg1:k/d/1.file.0.0",
            b"ddkg1:k/d/0.data.0.0",
            b"ddkg1:k/d/01.data.0.0",
            b"ddkg1:k/d/1.data.00.0",
            b"ddkg1:k/d/1.data.0.00",
            b"ddkg1:k/d/+1.data.0.0",
            b"ddkg1:k/d/1.data.4294967296.0",
            b"ddkg1:k/d/1.data.0.9223372036854775808",
            b"ddkg1:k/d/1.data.0.18446744073709551616",
            b"ddkg1:k/d/18446744073709551616.data.0.0",
            b"ddkg1:k/d/1.data.0",
            b"ddkg1:k/d/e/1.data.0.0",
            b"ddkg1:K/d/1.data.0.0",
            b"ddkg2:k/d/1.data.0.0",
            b"ddkg1:k/d/1.data.0.0\n",
            "ddkg1:k/d/1.data.0.\u0661".encode(),
        )
    ),
]


@pytest.mark.parametrize(("decode", "right", "wrong"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_is_out_of_bounds_is_refused(decode: Callable[[bytes], Any], right: bytes, wrong: bytes) -> None:
    # The nearest that is within.
    decode(right)
    with pytest.raises(Malformed):
        decode(wrong)


def test_key_names_at_their_bounds() -> None:
    name = KeyName("k" * 63, "d" * 128, 2**64 - 1, "file", 2**32 - 1, 2**63 - 1)
    assert KeyName.parse(str(name)) == name


def test_messages_as_text() -> None:
    for data in (b"", b"f", b"fo", b"foo", b"\xfb\xff"):
        assert from_text(to_text(data)) == data
    assert to_text(b"\xfb\xff") == "+/8="
    for wrong in ("+/8", "-_8=", "+/9=", " +/8=", "+/8=\n", "+/8==", "+/8=+/8=", "ä", "="):
        with pytest.raises(Malformed):
            from_text(wrong)


def test_a_reader_takes_no_more_than_there_is() -> None:
    with pytest.raises(Malformed, match="cut short"):
        Reader(b"ab").take("x", 3)
    with pytest.raises(Malformed, match="cut short"):
        Reader(b"ab").number("x", 8)
    with pytest.raises(Malformed, match="cut short"):
        Reader(b"\0\0\0\3ab").framed("x", 0, 9)


@pytest.mark.parametrize("first", [0, 2, 3, 5, 6, 7])
def test_a_point_in_another_form_is_refused(first: int) -> None:
    """6 and 7 are the hybrid forms of SEC 1, which some libraries take."""
    right = Ephemeral.generate(1)
    share = Ephemeral.generate(1).share
    right.agree(share)
    for wrong in (bytes([first]) + share[1:], bytes([2 + share[-1] % 2]) + share[1:33], bytes(65)):
        with pytest.raises(Malformed):
            right.agree(wrong)


@pytest.mark.parametrize(
    "message",
    [Proof(*WHO, b"c", B32, 1, 0, 2**63, "x", B32, B32), Token(*WHO, 1, 0, 2**63, "a", b"", 0, B32)],
    ids=lambda message: type(message).__name__,
)
def test_a_number_above_the_last_is_refused(message: Any) -> None:
    with pytest.raises(Malformed, match="number"):
        message.decode(message.encode())


def test_reply_bodies_are_read_to_their_end() -> None:
    body = frame(bytes(65)) + u64(2) + put_schedule(TIMES)
    assert RekeyReply.decode(1, body).schedule == TIMES
    former = frame(bytes(65)) + u64(1) + put_schedule(TIMES)
    for wrong in (body + b"\0", body[:-1], b"", former, frame(bytes(64)) + body[69:]):
        with pytest.raises(Malformed):
            RekeyReply.decode(1, wrong)
    with pytest.raises(Malformed):
        RekeyReply.decode(2, body)
    assert RekeyReply.decode(1, body + b"\0\0\0\5", 0b1101).granted == 5
    for wrong in (body, body + b"\0\0\5", body + b"\0\0\0\0\5", body + b"\0\0\0\4", body + b"\0\0\0\3", body + b"\x80\0\0\1"):
        with pytest.raises(Malformed):
            RekeyReply.decode(1, wrong, 0b1101)
    assert certificates(frame(b"leaf") + frame(b"ca")) == [b"leaf", b"ca"]
    for wrong in (b"", frame(b""), frame(b"leaf") + b"\0", frame(b"leaf")[:-1]):
        with pytest.raises(Malformed):
            certificates(wrong)


def test_covers_are_read_as_they_are_written_and_no_others() -> None:
    whole = Tree.of(B32)
    frontier = whole.cover(5, 2**32 - 1).encode()
    assert Tree.decode(frontier).epoch_secret(2**31) == whole.epoch_secret(2**31)
    for wrong in (b"", frontier[:-1], frontier + b"\0", frontier[37:74] + frontier[:37], frontier + frontier[-37:]):
        with pytest.raises(Malformed):
            Tree.decode(wrong)
    for depth, index in ((33, 0), (255, 0), (0, 1), (1, 2)):
        with pytest.raises(Malformed):
            Tree.decode(bytes([depth]) + index.to_bytes(4, "big") + B32)


def test_what_was_left_behind_is_gone() -> None:
    tree = Tree.of(B32)
    tree.advance(1000)
    for epoch in (0, 999):
        with pytest.raises(Malformed):
            tree.epoch_secret(epoch)
    assert tree.epoch_secret(1000) == Tree.of(B32).epoch_secret(1000)
    tree.advance(7)
    assert tree.first == 1000
    assert len(Tree.of(B32).cover(1, 2**32 - 1)) == 32


@pytest.mark.parametrize("message", [each for each in MESSAGES if len(each.encode()) < 2000], ids=lambda message: type(message).__name__)
def test_whatever_is_taken_is_encoded_alike(message: Any) -> None:
    """No bytes raise anything else, and no value has two encodings."""
    chance, right = random.Random(7), message.encode()
    taken = 0
    for _ in range(1000):
        data = bytearray(right)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(data))
            data[at : at + chance.randint(0, 2)] = chance.randbytes(chance.randint(0, 2))
        try:
            got = type(message).decode(bytes(data))
        except Malformed:
            continue
        taken += 1
        assert got.encode() == data
    # The control: not all that is changed is refused.
    assert taken > 20
