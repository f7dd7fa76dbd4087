"""SPEC section 11: messages as bytes. There is one encoding of each value, and nothing may follow its end."""

from dataclasses import dataclass, field
from typing import Final

from . import attributes, names
from .errors import Malformed
from .keys import DATA, MAX_NUMBER, Schedule
from .names import KeyName
from .primitives import frame, transcript, u8, u16, u32, u64
from .suite import AUTHORITY_SHARE, DEVICE_SHARE, check_suite
from .wire import Reader

MAX_BODY: Final = 1 << 20
MAX_CHALLENGE: Final = 255
MAX_PLATFORM_NONCE: Final = 64
# AES-256-GCM's tag is part of the ciphertext.
TAG_LENGTH: Final = 16
MAX_PLAINTEXT: Final = 16 << 20
# ECDSA P-256 in DER has at most 72 bytes.
MAX_SIGNATURE: Final = 72
_MAX_TEXT: Final = 255
_MAX_KEY_NAME: Final = 512


def _device(tenant: str, device_id: str) -> bytes:
    return frame(names.tenant(tenant).encode()) + frame(names.device_id(device_id).encode())


def _read_device(reader: Reader) -> tuple[str, str]:
    return reader.text("tenant", _MAX_TEXT, names.tenant), reader.text("device id", _MAX_TEXT, names.device_id)


def put_schedule(schedule: Schedule) -> bytes:
    return u64(schedule.period) + u64(schedule.max_uses) + u64(schedule.not_before)


def read_schedule(reader: Reader) -> Schedule:
    return Schedule(reader.number("period", 8), reader.number("max_uses", 8), reader.number("not_before", 8))


@dataclass(frozen=True, slots=True)
class EnrollmentRequest:
    """Kind 1."""

    suite: int
    tenant: str
    device_id: str
    device_nonce: bytes
    device_share: bytes
    # A thief of the state must not learn them from a log.
    attributes: dict[str, bytes] = field(repr=False)

    def encode(self) -> bytes:
        head = u8(1) + u16(self.suite) + _device(self.tenant, self.device_id)
        return head + self.device_nonce + frame(self.device_share) + attributes.encode(self.attributes)

    @classmethod
    def decode(cls, data: bytes) -> "EnrollmentRequest":
        reader = Reader(data, 1)
        suite = check_suite(reader.number("suite", 2))
        tenant, device_id = _read_device(reader)
        nonce = reader.take("device nonce", 32)
        share = reader.framed("device share", DEVICE_SHARE[suite], DEVICE_SHARE[suite])
        return cls(suite, tenant, device_id, nonce, share, read_attributes(reader))


def read_attributes(reader: Reader) -> dict[str, bytes]:
    """To the end: there is no count before them. Names are in byte order, each once."""
    found: dict[str, bytes] = {}
    last = ""
    while not reader.is_at_end:
        name = reader.text("attribute name", 64, names.attribute_name)
        if name <= last:
            raise Malformed("attributes", "are not in the order of their names, each once")
        found[name] = reader.framed("attribute value", 0, attributes.MAX_VALUE)
        last = name
    attributes.check(found)
    return found


@dataclass(frozen=True, slots=True)
class EnrollmentReply:
    """Kind 2."""

    suite: int
    authority_share: bytes
    generation: int
    schedule: Schedule
    signature: bytes
    authority_confirmation: bytes

    def encode(self) -> bytes:
        head = u8(2) + u16(self.suite) + frame(self.authority_share) + u64(self.generation)
        return head + put_schedule(self.schedule) + frame(self.signature) + self.authority_confirmation

    @classmethod
    def decode(cls, data: bytes) -> "EnrollmentReply":
        reader = Reader(data, 2)
        suite = check_suite(reader.number("suite", 2))
        share = reader.framed("authority share", AUTHORITY_SHARE[suite], AUTHORITY_SHARE[suite])
        generation, schedule = reader.number("generation", 8, 1), read_schedule(reader)
        signature = reader.framed("signature", 8, MAX_SIGNATURE)
        confirmation = reader.take("authority confirmation", 32)
        reader.end("enrollment reply")
        return cls(suite, share, generation, schedule, signature, confirmation)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Kind 3."""

    tenant: str
    device_id: str
    device_confirmation: bytes

    def encode(self) -> bytes:
        return u8(3) + _device(self.tenant, self.device_id) + self.device_confirmation

    @classmethod
    def decode(cls, data: bytes) -> "Confirmation":
        reader = Reader(data, 3)
        confirmation = cls(*_read_device(reader), reader.take("device confirmation", 32))
        reader.end("confirmation")
        return confirmation


@dataclass(frozen=True, slots=True)
class Challenge:
    """Kind 4."""

    challenge: bytes
    # Unix seconds. Nothing authenticates it.
    server_time: int
    recipe: tuple[str, ...]

    def encode(self) -> bytes:
        recipe = b"".join(frame(names.attribute_name(name).encode()) for name in self.recipe)
        return u8(4) + frame(self.challenge) + u64(self.server_time) + u8(len(self.recipe)) + recipe

    @classmethod
    def decode(cls, data: bytes) -> "Challenge":
        reader = Reader(data, 4)
        challenge, server_time = reader.framed("challenge", 1, MAX_CHALLENGE), reader.number("server_time", 8)
        count = reader.number("recipe", 1)
        if count > attributes.MOST:
            raise Malformed("recipe", f"names more than {attributes.MOST} attributes")
        recipe = tuple(reader.text("recipe", 64, names.attribute_name) for _ in range(count))
        if len(set(recipe)) != len(recipe):
            raise Malformed("recipe", "names an attribute twice")
        reader.end("challenge")
        return cls(challenge, server_time, recipe)


@dataclass(frozen=True, slots=True)
class Proof:
    """Kind 5. The body itself travels beside it."""

    tenant: str
    device_id: str
    challenge: bytes
    device_nonce: bytes
    generation: int
    epoch: int
    number: int
    action: str
    body_digest: bytes
    mac: bytes

    def transcript(self) -> bytes:
        """T of section 5."""
        place = (self.generation, self.epoch, self.number)
        who = (self.tenant, self.device_id, self.challenge, self.device_nonce)
        return transcript("proof", *who, *place, self.action, self.body_digest)

    def encode(self) -> bytes:
        who = u8(5) + _device(self.tenant, self.device_id) + frame(self.challenge) + self.device_nonce
        place = u64(self.generation) + u32(self.epoch) + u64(self.number)
        return who + place + frame(names.action(self.action).encode()) + self.body_digest + self.mac

    @classmethod
    def decode(cls, data: bytes) -> "Proof":
        reader = Reader(data, 5)
        proof = cls(
            *_read_device(reader),
            challenge=reader.framed("challenge", 1, MAX_CHALLENGE),
            device_nonce=reader.take("device nonce", 32),
            generation=reader.number("generation", 8, 1),
            epoch=reader.number("epoch", 4),
            number=reader.number("number", 8, most=MAX_NUMBER),
            action=reader.text("action", 32, names.action),
            body_digest=reader.take("body digest", 32),
            mac=reader.take("mac", 32),
        )
        reader.end("proof")
        return proof


@dataclass(frozen=True, slots=True)
class Reply:
    """Kind 6."""

    server_time: int
    ack: bytes
    body: bytes

    def encode(self) -> bytes:
        return u8(6) + u64(self.server_time) + self.ack + frame(self.body)

    @classmethod
    def decode(cls, data: bytes) -> "Reply":
        reader = Reader(data, 6)
        reply = cls(reader.number("server_time", 8), reader.take("ack", 32), reader.framed("body", 0, MAX_BODY))
        reader.end("reply")
        return reply


@dataclass(frozen=True, slots=True)
class Token:
    """Kind 7."""

    tenant: str
    device_id: str
    generation: int
    epoch: int
    number: int
    audience: str
    platform_nonce: bytes
    issued_at: int
    mac: bytes

    def transcript(self) -> bytes:
        """What its mac is over (section 7)."""
        place = (self.generation, self.epoch, self.number)
        return transcript(
            "token", self.tenant, self.device_id, *place, self.audience, self.platform_nonce, self.issued_at
        )

    def encode(self) -> bytes:
        place = u64(self.generation) + u32(self.epoch) + u64(self.number)
        rest = frame(names.audience(self.audience).encode()) + frame(self.platform_nonce) + u64(self.issued_at)
        return u8(7) + _device(self.tenant, self.device_id) + place + rest + self.mac

    @classmethod
    def decode(cls, data: bytes) -> "Token":
        reader = Reader(data, 7)
        token = cls(
            *_read_device(reader),
            generation=reader.number("generation", 8, 1),
            epoch=reader.number("epoch", 4),
            number=reader.number("number", 8, most=MAX_NUMBER),
            audience=reader.text("audience", 255, names.audience),
            platform_nonce=reader.framed("platform nonce", 0, MAX_PLATFORM_NONCE),
            issued_at=reader.number("issued_at", 8),
            mac=reader.take("mac", 32),
        )
        reader.end("token")
        return token


@dataclass(frozen=True, slots=True)
class SealedPayload:
    """Kind 8."""

    key_name: KeyName
    nonce: bytes
    ciphertext: bytes

    def encode(self) -> bytes:
        return u8(8) + frame(str(self.key_name).encode()) + self.nonce + frame(self.ciphertext)

    @classmethod
    def decode(cls, data: bytes) -> "SealedPayload":
        reader = Reader(data, 8)
        name = KeyName.parse(reader.text("key name", _MAX_KEY_NAME, str))
        if name.purpose != DATA:
            raise Malformed("key name", "is not of the purpose data")
        nonce = reader.take("nonce", 12)
        ciphertext = reader.framed("ciphertext", TAG_LENGTH, MAX_PLAINTEXT + TAG_LENGTH)
        reader.end("sealed payload")
        return cls(name, nonce, ciphertext)
