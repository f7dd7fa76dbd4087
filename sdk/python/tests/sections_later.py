"""The lists of the vectors that came later. What a device has to judge is judged by it; of what the authority judges, whether the
messages are read, and whether those that it accepts are made as a device makes them."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import vectors
from sections import NO_SCHEDULE, Enrollment, NoClock
from vectors import ATTRIBUTES, DEVICE, TENANT, Case
from wardein_device import attributes, from_text, to_text
from wardein_device.actions import RekeyReply, rekey_body
from wardein_device.device import Device, Request
from wardein_device.errors import Malformed, Untrusted
from wardein_device.keys import PROOF, PURPOSES, TOKEN, Schedule, known_in, number_key, purpose_root
from wardein_device.made_key import unseal
from wardein_device.messages import (
    Challenge,
    Confirmation,
    EnrollmentReply,
    EnrollmentRequest,
    Proof,
    Reply,
    SealedPayload,
    Token,
    read_attributes,
)
from wardein_device.names import KeyName
from wardein_device.primitives import equal, expand, frame, mac, sha256, transcript
from wardein_device.proof import ack, ack_key, device_mac
from wardein_device.state import State, branches_of
from wardein_device.suite import Ephemeral
from wardein_device.tree import Tree
from wardein_device.wire import Reader

KINDS: dict[int, Any] = {
    1: EnrollmentRequest,
    2: EnrollmentReply,
    3: Confirmation,
    4: Challenge,
    5: Proof,
    6: Reply,
    7: Token,
    8: SealedPayload,
}


def section_messages(root: Case) -> None:
    cases = root.cases("messages")
    assert {case.number("kind") for case in cases} == set(KINDS)
    for case in cases:
        case.text("name")
        kind, encoded = KINDS[case.number("kind")], case.hex("encoded")
        message = _message(kind, case.case("fields"))
        assert message.encode() == encoded
        assert kind.decode(encoded) == message
        assert to_text(encoded) == case.text("base64")
        assert from_text(case.text("base64")) == encoded


def _message(kind: Any, case: Case) -> Any:
    values: dict[str, Any] = {}
    for field in fields(kind):
        if field.name == "schedule":
            values["schedule"] = Schedule(*(case.number(name) for name in ("period", "max_uses", "not_before")))
        elif field.name == "attributes":
            values["attributes"] = {name: value.encode() for name, value in case.texts("attributes").items()}
        elif field.name == "recipe":
            values["recipe"] = tuple(case.value("recipe"))
        elif field.name == "key_name":
            values["key_name"] = KeyName.parse(case.text("key_name"))
        elif field.type is bytes:
            values[field.name] = case.hex(field.name)
        else:
            values[field.name] = case.value(field.name)
    return kind(**values)


def section_bindings(root: Case) -> None:
    for case in root.cases("bindings"):
        case.text("name")
        assert attributes.binding(case.hex("challenge"), case.value("recipe"), ATTRIBUTES) == case.hex("binding")


def section_attribute_bodies(root: Case) -> None:
    for case in root.cases("attribute_bodies"):
        case.text("name")
        values = {name: value.encode() for name, value in case.texts("values").items()}
        body = attributes.encode(values)
        assert body == case.hex("body")
        assert sha256(body) == case.hex("body_digest")
        assert read_attributes(Reader(body)) == values


def section_rekeys(root: Case) -> None:
    cases = root.cases("rekeys")
    assert {case.number("suite") for case in cases} == {1, 2}
    for case in cases:
        case.text("name")
        generation_root = case.hex("generation_root")
        proof, body = Proof.decode(case.hex("proof")), case.hex("body")
        ephemeral = Enrollment(Case(vectors.ALL["enrollment"][case.number("agreement")])).ephemeral
        # Null where none are named; a file older than revision 3 has no such fields.
        named, granted = (case.value(name) if name in case else None for name in ("purposes_named", "purposes_granted"))
        assert body == rekey_body(case.number("suite"), ephemeral.share, named)
        assert sha256(body) == proof.body_digest
        secret = epoch_secret(generation_root, PROOF, proof.epoch)
        bound = attributes.binding(proof.challenge, case.value("recipe"), ATTRIBUTES)
        key = number_key(secret, proof.number)
        assert device_mac(key, bound, proof.transcript()) == proof.mac
        parsed = RekeyReply.decode(ephemeral.suite, Reply.decode(case.hex("reply")).body, named)
        assert parsed.granted == granted
        assert parsed.transcript(proof.transcript(), ephemeral.suite, ephemeral.share) == case.hex("transcript")

        # And all of it through the device itself.
        device = awaiting(generation_root, proof, body, ack_key(key, bound), secret, ephemeral)
        _open(device)._named = named
        device.acknowledge(_open(device), case.hex("reply"))
        purposes = PURPOSES if granted is None else known_in(granted)
        assert list(device._state.branches) == list(purposes)
        assert device.generation == case.number("generation")
        times = (case.number("period"), case.number("max_uses"), case.number("not_before"))
        assert device._state.schedule == Schedule(*times)
        for purpose in purposes:
            expected = purpose_root(case.hex("new_generation_root"), purpose)
            assert device._state.branches[purpose].tree.encode()[5:] == expected


def section_transfers(root: Case) -> None:
    """This device carries out no transfer. The request is a proof like any other, with the body of a rekey."""
    for case in root.cases("transfers"):
        case.text("name")
        proof, body = Proof.decode(case.hex("proof")), case.hex("body")
        ephemeral = Enrollment(Case(vectors.ALL["enrollment"][case.number("agreement")])).ephemeral
        assert body == rekey_body(case.number("suite"), ephemeral.share, None)
        assert (proof.action, proof.body_digest) == ("transfer", sha256(body))
        secret = epoch_secret(case.hex("generation_root"), PROOF, proof.epoch)
        bound = attributes.binding(proof.challenge, case.value("recipe"), ATTRIBUTES)
        assert device_mac(number_key(secret, proof.number), bound, proof.transcript()) == proof.mac
        Reply.decode(case.hex("reply"))
        case.of_the_authority(
            *("new_tenant", "new_device_id", "generation", "period", "max_uses", "not_before"), "transcript", "new_generation_root"
        )


def section_made_keys(root: Case) -> None:
    """The request is a proof like any other; its sealing key opens what comes. Key and certificates of the vectors need not be ones that
    can be parsed."""
    for case in root.cases("made_keys"):
        case.text("name")
        proof, body = Proof.decode(case.hex("proof")), case.hex("body")
        assert (proof.action, proof.body_digest) == ("made-key", sha256(body))
        secret = epoch_secret(case.hex("generation_root"), PROOF, proof.epoch)
        bound = attributes.binding(proof.challenge, case.value("recipe"), ATTRIBUTES)
        assert device_mac(number_key(secret, proof.number), bound, proof.transcript()) == proof.mac
        reply = Reply.decode(case.hex("reply"))
        sealing_key = expand(number_key(secret, proof.number), "made key", bound)
        assert sealing_key == case.hex("sealing_key")
        assert reply.body.startswith(case.hex("nonce"))
        assert unseal(sealing_key, proof.transcript(), reply.body) == (case.hex("pkcs8"), case.hex("certificates"))
        for wrong in (reply.body[:-len(case.hex("certificates"))][:-1], bytes(12) + reply.body[12:]):
            with pytest.raises((Malformed, Untrusted)):
                unseal(sealing_key, proof.transcript(), wrong)


def section_service_codes(root: Case) -> None:
    """This device lets nobody in by a code. Its macs are made as all others."""
    for case in root.cases("service_codes"):
        case.text("name")
        place = (case.number("generation"), case.number("epoch"), case.number("number"))
        key = number_key(epoch_secret(case.hex("generation_root"), "service", place[1]), place[2])
        asked = transcript("service challenge", case.text("tenant"), case.text("device_id"), *place, case.text("scope"))
        mark = int.from_bytes(mac(expand(key, "service challenge"), asked)[:8], "big") >> 64 - 35
        assert case.text("challenge").replace("-", "")[-7:] == crockford(mark, 7)
        units = case.number("units")
        answer = int.from_bytes(mac(expand(key, "service code"), transcript("service code", asked, units))[:8], "big") >> 64 - 42
        assert case.text("code").replace("-", "") == crockford(units << 42 | answer, 10)


def section_emergency_codes(root: Case) -> None:
    for case in root.cases("emergency_codes"):
        case.text("name")
        key = number_key(epoch_secret(case.hex("generation_root"), "service", case.number("epoch")), case.number("number"))
        bits, check = int.from_bytes(expand(key, "emergency code")[:10], "big") >> 80 - 75, 0
        for place in range(14, -1, -1):
            check = (check ^ bits >> 5 * place & 31) << 1
            check = check ^ 0b100101 if check & 32 else check
        assert case.text("code").replace("-", "") == crockford(bits << 5 | check, 16)


def section_carried_protocols(root: Case) -> None:
    """This device has no visits. What its keys make of one is checked."""
    for case in root.cases("carried_protocols"):
        case.text("name")
        generation, epoch, number = (case.number(name) for name in ("generation", "epoch", "number"))
        key = number_key(epoch_secret(case.hex("generation_root"), "service", epoch), number)
        body = case.hex("body")
        said = transcript("visit protocol", case.text("tenant"), case.text("device_id"), generation, epoch, number, sha256(body))
        place = b"\x11" + generation.to_bytes(8) + epoch.to_bytes(4) + number.to_bytes(8)
        assert case.hex("message") == place + len(body).to_bytes(4) + body + mac(expand(key, "visit protocol"), said)


def crockford(value: int, length: int) -> str:
    return "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[value >> 5 * place & 31] for place in range(length - 1, -1, -1))


def epoch_secret(generation_root: bytes, purpose: str, epoch: int) -> bytes:
    return Tree.of(purpose_root(generation_root, purpose)).epoch_secret(epoch)


def awaiting(
    generation_root: bytes,
    proof: Proof,
    body: bytes,
    ack_key: bytes,
    secret: bytes = b"",
    ephemeral: Ephemeral | None = None,
) -> Device:
    """A device that has sent `proof`."""
    branches = branches_of(generation_root, PURPOSES)
    state = State(TENANT, DEVICE, 1, proof.generation, NO_SCHEDULE, 0, None, True, branches)
    device = Device(state, lambda _: None, NoClock())
    request = Request(proof, body, ack_key, secret)
    request._ephemeral = ephemeral
    device._open = request
    return device


def _open(device: Device) -> Request:
    assert isinstance(device._open, Request)
    return device._open


def section_refusals(root: Case) -> None:
    lists = root.case("refusals")
    for name, judge in LISTS.items():
        cases = lists.cases(name)
        for case in cases:
            case.text("name")
            judge(case)


DECODERS: dict[str, Callable[[bytes], object]] = {
    "enrollment request": EnrollmentRequest.decode,
    "enrollment reply": EnrollmentReply.decode,
    "confirmation": Confirmation.decode,
    "challenge": Challenge.decode,
    "proof": Proof.decode,
    "reply": Reply.decode,
    "token": Token.decode,
    "sealed payload": SealedPayload.decode,
    "attributes body": lambda data: read_attributes(Reader(data)),
    "base64": lambda data: from_text(data.decode()),
}
# A device makes it, and never reads one.
OF_THE_AUTHORITY = {"rekey body"}


def _malformed(case: Case) -> None:
    of, data = case.text("of"), case.hex("input")
    assert case.text("expect") == "malformed"
    if of not in OF_THE_AUTHORITY:
        with pytest.raises(Malformed):
            DECODERS[of](data)
            pytest.fail(f"{case.text('name')}: it was taken")


def _enrollment(case: Case) -> None:
    both = Enrollment(Case(vectors.ALL["enrollment"][case.number("of")]))
    message, data, expected = case.text("message"), case.hex("input"), case.text("expect")
    enrolling, saved = both.enrolling(), list[bytes]()
    if message == "reply":
        if expected == "accepted":
            enrolling.finish(data, saved.append, NoClock())
            return
        with pytest.raises(Untrusted, match={"signature-wrong": "signature", "confirmation-wrong": "confirmation"}[expected]):
            enrolling.finish(data, saved.append, NoClock())
        assert saved == []
    elif message == "confirmation":
        right = enrolling.finish(both.reply.encode(), saved.append, NoClock()).confirmation()
        Confirmation.decode(data)
        assert (data == right) == (expected == "accepted")
    else:
        assert message == "request"
        # Whether the share is a point is the authority's to judge.
        EnrollmentRequest.decode(data)


def _ack(case: Case) -> None:
    generation_root, proof = case.hex("generation_root"), Proof.decode(case.hex("proof"))
    bound = attributes.binding(proof.challenge, case.value("recipe"), ATTRIBUTES)
    key = number_key(epoch_secret(generation_root, PROOF, proof.epoch), proof.number)
    device = awaiting(generation_root, proof, b"", ack_key(key, bound))
    if case.text("expect") == "accepted":
        body = device.acknowledge(_open(device), case.hex("reply"))
        assert body == Reply.decode(case.hex("reply")).body
        return
    assert case.text("expect") == "ack-wrong"
    before = device._state.encode()
    with pytest.raises(Untrusted):
        device.acknowledge(_open(device), case.hex("reply"))
    assert device._state.encode() == before


def _roots(case: Case) -> dict[int, list[bytes]]:
    """Those of a replaced generation have its number as well."""
    roots: dict[int, list[bytes]] = {}
    for each in case.cases("generations"):
        each.of_the_authority("state", "period", "max_uses", "not_before")
        roots.setdefault(each.number("generation"), []).append(each.hex("generation_root"))
    return roots


def _proofs(case: Case) -> None:
    case.of_the_authority("challenge_key", "confirmed")
    roots = _roots(case)
    # On record, and announced.
    known = [{name: value.encode() for name, value in case.texts("attributes").items()}]
    for step in case.cases("steps"):
        step.of_the_authority("name", "now_ms", "next_epoch", "highest_epoch")
        proof, body, reply = Proof.decode(step.hex("proof")), step.hex("body"), step.value("reply")
        if step.text("expect") != "accepted":
            assert reply is None
            continue
        assert sha256(body) == proof.body_digest
        t, parsed, right = proof.transcript(), Reply.decode(bytes.fromhex(reply)), 0
        for root in roots[proof.generation]:
            key = number_key(epoch_secret(root, PROOF, proof.epoch), proof.number)
            for measured in known:
                bound = attributes.binding(proof.challenge, sorted(measured), measured)
                if equal(device_mac(key, bound, t), proof.mac):
                    right += 1
                    assert ack(ack_key(key, bound), t, parsed.server_time, parsed.body) == parsed.ack
        assert right == 1
        if proof.action == "attributes":
            known.append(read_attributes(Reader(body)))


def _tokens(case: Case) -> None:
    roots = _roots(case)
    for step in case.cases("steps"):
        step.of_the_authority("name", "now_ms", "next_epoch", "highest_epoch", "audience", "platform_nonce")
        token, expected = Token.decode(step.hex("token")), step.text("expect")
        for root in roots.get(token.generation, []):
            key = number_key(epoch_secret(root, TOKEN, token.epoch), token.number)
            is_right = mac(expand(key, "token"), token.transcript()) == token.mac
            assert is_right or expected in ("mac-wrong", "wrong-device")
            assert not is_right or expected != "mac-wrong"


def _sealed(case: Case) -> None:
    roots = _roots(case)
    for step in case.cases("steps"):
        step.of_the_authority("name", "now_ms")
        sealed, expected, plaintext = SealedPayload.decode(step.hex("sealed")), step.text("expect"), step.value("plaintext")
        name = sealed.key_name
        bound = frame(str(name).encode()) + frame(step.hex("additional_data"))
        for root in roots.get(name.generation, []):
            aead = AESGCM(number_key(epoch_secret(root, name.purpose, name.epoch), name.number))
            if expected == "accepted":
                assert aead.decrypt(sealed.nonce, sealed.ciphertext, bound) == bytes.fromhex(plaintext)
            elif expected == "open-failed":
                with pytest.raises(InvalidTag):
                    aead.decrypt(sealed.nonce, sealed.ciphertext, bound)
        assert (plaintext is None) == (expected != "accepted")


LISTS: dict[str, Callable[[Case], None]] = {
    "malformed": _malformed,
    "enrollment": _enrollment,
    "acks": _ack,
    "proofs": _proofs,
    "tokens": _tokens,
    "sealed": _sealed,
}
