"""The authority's end, as far as a device's needs it: honest, of one device, and without a network. It shares primitives with the device;
that those are right is shown by the vectors and by the served authority."""

import os
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mlkem
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wardein_device import Answer, Refused
from wardein_device.actions import RekeyReply, next_root, rekey_body
from wardein_device.attributes import binding
from wardein_device.enroll import agreed, enrollment_transcript
from wardein_device.keys import PROOF, Schedule, number_key, purpose_root
from wardein_device.messages import (
    Challenge,
    Confirmation,
    EnrollmentReply,
    EnrollmentRequest,
    Proof,
    Reply,
    put_schedule,
)
from wardein_device.primitives import expand, frame, u32, u64
from wardein_device.proof import ack, ack_key, device_mac
from wardein_device.suite import Ephemeral
from wardein_device.tree import Tree

CURVE = ec.SECP256R1()


class Clock:
    def __init__(self) -> None:
        self.wall_time, self.counted = 0, 0

    def wall(self) -> int:
        return self.wall_time

    def elapsed(self) -> int:
        return self.counted


@dataclass
class Authority:
    schedule: Schedule = field(default_factory=lambda: Schedule(3600, 0, 1000))
    now: int = 1000
    recipe: tuple[str, ...] = ("board", "firmware")
    bodies: dict[str, bytes] = field(default_factory=dict)
    # What the next proofs are refused with, in order; None lets one pass.
    refusals: list[Refused | None] = field(default_factory=list)
    # What happened, in order.
    log: list[str] = field(default_factory=list)
    confirmation: bytes | None = None
    # By generation, the proof tree.
    trees: dict[int, Tree] = field(default_factory=dict)
    numbers: list[tuple[int, int, int]] = field(default_factory=list)
    attributes: dict[str, bytes] = field(default_factory=dict)
    rekey_due: bool = False
    # The set of purposes that it grants; None for no answer.
    granted: int | None = 0b1111
    answers_unasked: bool = False
    # The key that it makes, PKCS#8, and the chain beside it, as `certificate` has it.
    made: tuple[bytes, bytes] = (b"", b"")

    def __post_init__(self) -> None:
        self.identity = ec.generate_private_key(CURVE)

    @property
    def identity_key(self) -> bytes:
        return Ephemeral(self.identity, None).share

    def enroll(self, message: bytes) -> bytes:
        request = EnrollmentRequest.decode(message)
        self.attributes = request.attributes
        share, ikm = _agree(request.suite, request.device_share)
        unsigned = EnrollmentReply(request.suite, share, 1, self.schedule, bytes(8), bytes(32))
        t = enrollment_transcript(request, unsigned)
        keys = agreed(ikm, t)
        self.trees = {1: Tree.of(purpose_root(keys.root, PROOF))}
        self.confirmation = Confirmation(request.tenant, request.device_id, keys.device_confirmation).encode()
        signature = self.identity.sign(t, ec.ECDSA(hashes.SHA256()))
        return EnrollmentReply(request.suite, share, 1, self.schedule, signature, keys.authority_confirmation).encode()

    def challenge(self, tenant: str, device_id: str) -> bytes:
        self.log.append("challenge")
        self.offered = Challenge(os.urandom(25), self.now, self.recipe).encode()
        return self.offered

    def confirm(self, confirmation: bytes) -> None:
        self.log.append("confirm")
        assert confirmation == self.confirmation

    def prove(self, proof: bytes, body: bytes) -> Answer:
        parsed = Proof.decode(proof)
        self.log.append(parsed.action)
        refused = self.refusals.pop(0) if self.refusals else None
        if refused is not None:
            raise refused
        assert (parsed.generation, parsed.epoch, parsed.number) not in self.numbers
        self.numbers.append((parsed.generation, parsed.epoch, parsed.number))
        offer = Challenge.decode(self.offered)
        assert parsed.challenge == offer.challenge
        secret = self.trees[parsed.generation].epoch_secret(parsed.epoch)
        key, bound = number_key(secret, parsed.number), binding(offer.challenge, offer.recipe, self.attributes)
        if device_mac(key, bound, parsed.transcript()) != parsed.mac:
            raise Refused("mac-wrong", "UNAUTHENTICATED")
        reply_body = self.bodies.get(parsed.action, b"")
        if parsed.action == "rekey":
            reply_body = self._rekey(parsed, body, secret)
        t, by = parsed.transcript(), ack_key(key, bound)
        if parsed.action == "made-key":
            nonce, (pkcs8, chain) = os.urandom(12), self.made
            sealed = AESGCM(expand(key, "made key", bound)).encrypt(nonce, pkcs8, t)
            reply_body = nonce + frame(sealed) + chain
        return Answer(Reply(self.now, ack(by, t, self.now, reply_body), reply_body).encode(), self.rekey_due)

    def _rekey(self, proof: Proof, body: bytes, secret: bytes) -> bytes:
        suite, length = int.from_bytes(body[:2], "big"), int.from_bytes(body[2:6], "big")
        share, rest = body[6 : 6 + length], body[6 + length :]
        named = int.from_bytes(rest, "big") if rest else None
        assert body == rekey_body(suite, share, named)
        granted = None if named is None and not self.answers_unasked else self.granted
        # Honest by default: of what was named, what it knows.
        if granted == 0b1111 and named is not None:
            granted &= named
        mine, ikm = _agree(suite, share)
        schedule = Schedule(self.schedule.period, self.schedule.max_uses, self.now)
        reply = RekeyReply(mine, proof.generation + 1, schedule, granted)
        root = next_root(secret, ikm, reply.transcript(proof.transcript(), suite, share))
        self.trees[reply.generation] = Tree.of(purpose_root(root, PROOF))
        parsed = frame(mine) + u64(reply.generation) + put_schedule(schedule)
        return parsed + (b"" if granted is None else u32(granted))


def _agree(suite: int, device_share: bytes) -> tuple[bytes, bytes]:
    """The authority's share, and ikm."""
    private = ec.generate_private_key(CURVE)
    share = Ephemeral(private, None).share
    ikm = private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVE, device_share[:65]))
    if suite == 2:
        secret, ciphertext = mlkem.MLKEM768PublicKey.from_public_bytes(device_share[65:]).encapsulate()
        share, ikm = share + ciphertext, ikm + secret
    return share, ikm
