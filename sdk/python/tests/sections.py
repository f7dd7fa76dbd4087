"""The sections of the vectors: each function reproduces, or uses, every value of one."""

import os
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from vectors import ATTRIBUTES, DEVICE, TENANT, Case
from wardein_device import attributes, enroll
from wardein_device.actions import RekeyReply, next_root
from wardein_device.device import Device
from wardein_device.enroll import Enrolling
from wardein_device.keys import FILE, PROOF, PURPOSES, TOKEN, Schedule, number_key, purpose_root
from wardein_device.messages import EnrollmentReply, EnrollmentRequest, Proof, SealedPayload, Token
from wardein_device.names import KeyName
from wardein_device.primitives import expand, frame, mac, transcript
from wardein_device.proof import ack, ack_key, device_mac, signature_transcript
from wardein_device.state import State, branches_of
from wardein_device.suite import Ephemeral
from wardein_device.tree import LAST_EPOCH, Tree

CURVE = ec.SECP256R1()
NO_SCHEDULE = Schedule(0, 0, 0)


class NoClock:
    def __init__(self, wall: int = 0) -> None:
        self._wall = wall

    def wall(self) -> int:
        return self._wall

    def elapsed(self) -> int:
        return 0


def private(case: Case, name: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(case.hex(name), "big"), CURVE)


def device_at(case: Case, purpose: str, known_time: int = 0) -> Device:
    """A device whose next key of `purpose` is the one of the case."""
    branches = branches_of(case.hex("generation_root"), PURPOSES)
    branches[purpose].tree.advance(case.number("epoch"))
    branches[purpose].number = case.number("number")
    generation = case.number("generation") if "generation" in case else 1
    state = State(TENANT, DEVICE, 1, generation, NO_SCHEDULE, known_time, None, True, branches)
    return Device(state, lambda _: None, NoClock())


def key_at(case: Case, purpose: str) -> bytes:
    tree = Tree.of(purpose_root(case.hex("generation_root"), purpose))
    return number_key(tree.epoch_secret(case.number("epoch")), case.number("number"))


def section_expand(root: Case) -> None:
    for case in root.cases("expand"):
        out = expand(case.hex("secret"), case.text("label"), case.hex("context"), case.number("length"))
        assert out == case.hex("out")


def section_transcript(root: Case) -> None:
    for case in root.cases("transcript"):
        fields = [bytes.fromhex(field) for field in case.value("fields")]
        assert transcript(case.text("label"), *fields) == case.hex("out")


def section_tree(root: Case) -> None:
    case = root.case("tree")
    whole_root = purpose_root(case.hex("generation_root"), case.text("purpose"))
    assert whole_root == case.hex("root")
    whole = Tree.of(whole_root)
    for leaf in case.cases("leaves"):
        assert whole.epoch_secret(leaf.number("epoch")) == leaf.hex("secret")
    for frontier in sorted(case.cases("frontiers"), key=lambda each: each.number("epoch")):
        # Both from the root and step by step.
        whole.advance(frontier.number("epoch"))
        encoded = frontier.hex("encoded")
        assert len(whole) == frontier.number("nodes")
        assert whole.encode() == encoded == Tree.of(whole_root).cover(whole.first, LAST_EPOCH).encode()
        assert Tree.decode(encoded).encode() == encoded
    for cover in case.cases("covers"):
        got = Tree.of(whole_root).cover(cover.number("from"), cover.number("to"))
        assert got.encode() == cover.hex("encoded")


def section_keys(root: Case) -> None:
    case = root.case("keys")
    generation_root = case.hex("generation_root")
    for entry in case.cases("entries"):
        purpose, epoch, number = entry.text("purpose"), entry.number("epoch"), entry.number("number")
        tree = Tree.of(purpose_root(generation_root, purpose))
        assert number_key(tree.epoch_secret(epoch), number) == entry.hex("key")
        name = KeyName(TENANT, DEVICE, 1, purpose, epoch, number)
        assert str(name) == entry.text("name")
        assert KeyName.parse(entry.text("name")) == name


def section_schedule(root: Case) -> None:
    for case in root.cases("schedule"):
        schedule = Schedule(case.number("period"), 0, case.number("not_before"))
        assert schedule.due(case.number("time")) == case.number("due")


def section_attributes(root: Case) -> None:
    case = root.case("attributes")
    values = {name: value.encode() for name, value in case.texts("values").items()}
    assert {name: attributes.digest_of(name, value).hex() for name, value in values.items()} == case.texts("digests")
    assert attributes.digest(values) == case.hex("digest")


def section_enrollment(root: Case) -> None:
    cases = root.cases("enrollment")
    assert {case.number("suite") for case in cases} == {1, 2}
    for case in cases:
        _enrollment(case)


class Enrollment:
    """A case, from both ends. Suite 2 has no signature in the vectors; it gets one by a key of the test."""

    def __init__(self, case: Case) -> None:
        suite, kem = case.number("suite"), None
        if suite == 2:
            kem = MLKEM768PrivateKey.from_seed_bytes(case.hex("mlkem_keygen_d") + case.hex("mlkem_keygen_z"))
        self.kem, self.case = kem, case
        self.ephemeral = Ephemeral(private(case, "device_p256_private"), kem)
        who = (suite, TENANT, DEVICE, case.hex("device_nonce"))
        self.request = EnrollmentRequest(*who, self.ephemeral.share, ATTRIBUTES)
        self.schedule = Schedule(case.number("period"), case.number("max_uses"), case.number("not_before"))
        self.reply = EnrollmentReply(
            suite,
            case.hex("authority_share"),
            case.number("generation"),
            self.schedule,
            bytes(8),
            case.hex("authority_confirmation"),
        )
        self.t = enroll.enrollment_transcript(self.request, self.reply)
        if "signature" in case:
            signature, self.identity = case.hex("signature"), case.hex("authority_identity_public")
        else:
            key = ec.generate_private_key(CURVE)
            signature = key.sign(self.t, ec.ECDSA(hashes.SHA256()))
            self.identity = Ephemeral(key, None).share
        self.reply = replace(self.reply, signature=signature)

    def enrolling(self) -> Enrolling:
        return Enrolling(self.request, self.ephemeral, self.identity, PURPOSES)


def _enrollment(case: Case) -> None:
    both = Enrollment(case)
    assert both.ephemeral.share == case.hex("device_share")
    share, ikm = case.hex("authority_share"), case.hex("ikm")
    assert both.ephemeral.agree(share) == ikm
    # The same from the authority's end.
    other = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, case.hex("device_share")[:65])
    assert private(case, "authority_p256_private").exchange(ec.ECDH(), other) == ikm[:32]
    if both.kem is not None:
        assert ikm[32:] == case.hex("mlkem_shared_secret") == both.kem.decapsulate(share[65:])
        # Randomness of the other end, which no library takes from outside; decapsulation has shown its result.
        assert len(case.hex("mlkem_encaps_m")) == 32
    assert both.t == case.hex("transcript")
    assert enroll.agreed(ikm, both.t).root == case.hex("generation_root")

    # And all of it through the device itself.
    saved: list[bytes] = []
    device = both.enrolling().finish(both.reply.encode(), saved.append, NoClock())
    confirmation = device.confirmation()
    assert confirmation is not None and confirmation[-32:] == case.hex("device_confirmation")
    assert device.known_time == both.schedule.not_before
    branches = State.decode(saved[-1]).branches
    for purpose in PURPOSES:
        assert branches[purpose].tree.encode()[5:] == purpose_root(case.hex("generation_root"), purpose)


def section_proof(root: Case) -> None:
    case = root.case("proof")
    key = key_at(case, PROOF)
    bound = attributes.binding(case.hex("challenge"), case.value("recipe"), ATTRIBUTES)
    assert bound == case.hex("binding")
    proof = Proof(
        tenant=TENANT,
        device_id=DEVICE,
        challenge=case.hex("challenge"),
        device_nonce=case.hex("device_nonce"),
        generation=case.number("generation"),
        epoch=case.number("epoch"),
        number=case.number("number"),
        action=case.text("action"),
        body_digest=case.hex("body_digest"),
        mac=case.hex("mac"),
    )
    t = proof.transcript()
    assert t == case.hex("transcript")
    assert device_mac(key, bound, t) == proof.mac
    # Only the digest of the reply's body is given, so its transcript is written out.
    acked = transcript("ack", t, case.number("server_time"), case.hex("reply_digest"))
    assert mac(ack_key(key, bound), acked) == case.hex("ack")
    assert ack(ack_key(key, bound), t, 7, b"x") != case.hex("ack")


def section_signature(root: Case) -> None:
    case = root.case("signature")
    who = (TENANT, DEVICE, case.hex("challenge"), case.hex("device_nonce"), case.hex("key_id"))
    assert case.text("action") == "authenticate"
    assert signature_transcript(*who, "authenticate", b"") == case.hex("transcript")
    written_out = transcript("signature", *who, case.text("action"), case.hex("body_digest"))
    assert written_out == case.hex("transcript")


def section_rekey(root: Case) -> None:
    case = root.case("rekey")
    share, suite = case.hex("device_share"), case.number("suite")
    schedule = Schedule(case.number("period"), case.number("max_uses"), case.number("not_before"))
    reply = RekeyReply(case.hex("authority_share"), case.number("generation"), schedule)
    t = reply.transcript(case.hex("proof_transcript"), suite, share)
    assert t == case.hex("transcript")
    tree = Tree.of(purpose_root(case.hex("generation_root"), PROOF))
    root_of_next = next_root(tree.epoch_secret(case.number("epoch")), case.hex("ikm"), t)
    assert root_of_next == case.hex("new_generation_root")


def section_sealed(root: Case) -> None:
    case = root.case("sealed")
    device, nonce = device_at(case, "data"), case.hex("nonce")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "urandom", lambda length: nonce[:length])
        message = device.seal(case.hex("plaintext"), case.hex("additional_data"))
    sealed = SealedPayload.decode(message)
    assert (sealed.nonce, sealed.ciphertext) == (nonce, case.hex("ciphertext"))
    bound = frame(str(sealed.key_name).encode()) + frame(case.hex("additional_data"))
    assert AESGCM(key_at(case, "data")).decrypt(nonce, sealed.ciphertext, bound) == case.hex("plaintext")


def section_token(root: Case) -> None:
    case = root.case("token")
    issued_at = case.number("issued_at")
    device = device_at(case, TOKEN, known_time=issued_at)
    token = Token.decode(device.token(case.text("audience"), case.hex("platform_nonce")))
    assert (token.mac, token.issued_at) == (case.hex("mac"), issued_at)
    assert (token.generation, token.epoch, token.number) == (
        case.number("generation"),
        case.number("epoch"),
        case.number("number"),
    )


def section_file(root: Case) -> None:
    case = root.case("file")
    arguments, body = device_at(case, FILE).wrap(case.hex("file_key"))
    assert arguments == case.text("stanza")
    assert body == case.hex("body")
    key = expand(key_at(case, FILE), "age")
    assert ChaCha20Poly1305(key).decrypt(bytes(12), body, None) == case.hex("file_key")
