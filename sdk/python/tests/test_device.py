"""SPEC sections 3 to 7: what a device does, and what it saves before it does."""

import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import fake
from conftest import ATTRIBUTES, Found
from wardein_device import (
    Device,
    Enrolling,
    Exhausted,
    Malformed,
    NotMeasured,
    Overtaken,
    ProveFirst,
    Refused,
    SystemClock,
    Untrusted,
    identity_key,
)
from wardein_device.epochs import ProofEpochs
from wardein_device.keys import Schedule
from wardein_device.messages import Challenge, Proof, Reply, SealedPayload, Token
from wardein_device.proof import ack
from wardein_device.state import State
from wardein_device.tree import LAST_EPOCH

MOST = 2**63 - 1


@pytest.mark.parametrize("suite", [1, 2])
def test_enrolls_proves_and_rekeys(found: Found, suite: int) -> None:
    house = found(suite)
    confirmation = house.device.confirmation()
    assert confirmation == house.authority.confirmation
    # After a crash it is the same, until the first ack.
    house.restart()
    assert house.device.confirmation() == confirmation
    house.authority.now = 1000 + 3 * 3600
    house.session.authenticate()
    assert house.device.confirmation() is None
    assert house.device.known_time == house.authority.now
    house.session.rekey(3 - suite)
    assert (house.device.generation, house.device.suite) == (2, 3 - suite)
    house.restart()
    house.session.authenticate()
    # Epochs and numbers begin again with a generation.
    assert house.authority.numbers == [(1, 3, 0), (1, 3, 1), (2, 0, 0), (2, 0, 1)]


def test_the_former_generation_is_gone_before_the_next_is_used(found: Found) -> None:
    house = found()
    house.session.authenticate()
    question = house.device.ask()
    request = house.device.rekey(question, house.authority.challenge("", ""), 1, ATTRIBUTES)
    reply = house.authority.prove(request.message, request.body).reply
    before = len(house.saved)
    house.device.acknowledge(request, reply)
    assert len(house.saved) == before + 1
    state = State.decode(house.saved[-1])
    assert state.generation == 2 and not state.is_proven
    former = State.decode(house.saved[before - 1])
    for purpose, branch in former.branches.items():
        assert branch.tree.encode()[5:].hex() not in house.saved[-1].hex(), purpose


def test_nothing_leaves_before_it_is_saved(found: Found) -> None:
    house = found()
    house.session.authenticate()

    def full(_: bytes) -> None:
        raise OSError("the disk is full")

    number = State.decode(house.saved[-1]).branches["proof"].number
    device = Device.load(house.saved[-1], full, house.clock)
    question = device.ask()
    with pytest.raises(OSError):
        device.prove(question, house.authority.challenge("", ""), "authenticate", b"", ATTRIBUTES)
    for act in (lambda: device.token("iot"), lambda: device.seal(b"x"), lambda: device.wrap(bytes(16))):
        with pytest.raises(OSError):
            act()
    enrolling = Enrolling.begin("klinik", "pump-1", {}, house.authority.identity_key, 1)
    with pytest.raises(OSError):
        enrolling.finish(house.authority.enroll(enrolling.request), full)
    # And what was saved is ahead of what left.
    question = house.device.ask()
    request = house.device.prove(question, house.authority.challenge("", ""), "authenticate", b"", ATTRIBUTES)
    assert State.decode(house.saved[-1]).branches["proof"].number == number + 1 == request.proof.number + 1


def test_a_false_ack_changes_nothing(found: Found) -> None:
    house = found()
    device = house.device
    request = device.prove(device.ask(), house.authority.challenge("", ""), "authenticate", b"", ATTRIBUTES)
    right = house.authority.prove(request.message, b"").reply
    before = house.saved[-1]
    parsed = Reply.decode(right)
    wrong = [
        Reply(parsed.server_time, bytes(32), parsed.body),
        Reply(parsed.server_time + 1, parsed.ack, parsed.body),
        Reply(parsed.server_time, parsed.ack, b"x"),
    ]
    for reply in wrong:
        with pytest.raises(Untrusted):
            device.acknowledge(request, reply.encode())
    for short in (b"", right[:-1], right + b"\0"):
        with pytest.raises(Malformed):
            device.acknowledge(request, short)
    assert house.saved[-1] == before and device.confirmation() is not None
    device.acknowledge(request, right)
    with pytest.raises(Overtaken):
        device.acknowledge(request, right)


def test_a_false_rekey_reply_changes_nothing(found: Found) -> None:
    house = found()
    device = house.device
    request = device.rekey(device.ask(), house.authority.challenge("", ""), 1, ATTRIBUTES)
    key, t = request._ack_key, request.proof.transcript()
    good = Reply.decode(house.authority.prove(request.message, request.body).reply).body
    # Even where the ack is right: another generation, a byte too many, a point off the curve.
    other_generation = good[:69] + (9).to_bytes(8, "big") + good[77:]
    off_the_curve = good[:68] + bytes([good[68] ^ 1]) + good[69:]
    for body in (other_generation, good + b"\0", good[:-1], off_the_curve):
        with pytest.raises(Malformed):
            device.acknowledge(request, Reply(5, ack(key, t, 5, body), body).encode())
    assert device.generation == 1
    device.acknowledge(request, Reply(5, ack(key, t, 5, good), good).encode())
    assert device.generation == 2


def test_one_question_is_open_and_is_answered_once(found: Found) -> None:
    house = found()
    device, challenge = house.device, house.authority.challenge("", "")
    first = device.ask()
    second = device.ask()
    with pytest.raises(Overtaken):
        device.prove(first, challenge, "authenticate", b"", ATTRIBUTES)
    request = device.prove(second, challenge, "authenticate", b"", ATTRIBUTES)
    with pytest.raises(Overtaken):
        device.prove(second, challenge, "authenticate", b"", ATTRIBUTES)
    reply = house.authority.prove(request.message, b"").reply
    device.ask()
    with pytest.raises(Overtaken):
        device.acknowledge(request, reply)


def test_a_rekey_whose_reply_is_lost_can_be_asked_again(found: Found) -> None:
    house = found()
    request = house.device.rekey(house.device.ask(), house.authority.challenge("", ""), 2, ATTRIBUTES)
    house.authority.prove(request.message, request.body)
    house.restart()
    house.session.rekey(2)
    assert house.device.generation == 2
    assert house.authority.numbers == [(1, 0, 0), (1, 0, 1), (2, 0, 0)]


def test_attributes_are_measured_and_bound(found: Found) -> None:
    house = found()
    with pytest.raises(NotMeasured, match="firmware"):
        house.device.prove(house.device.ask(), house.authority.challenge("", ""), "authenticate", b"", {"board": b"x"})
    other = {**ATTRIBUTES, "firmware": b"3.1.5"}
    request = house.device.prove(house.device.ask(), house.authority.challenge("", ""), "authenticate", b"", other)
    with pytest.raises(Refused, match="mac-wrong"):
        house.authority.prove(request.message, b"")


def test_a_false_time_of_a_challenge_moves_nothing(found: Found) -> None:
    house = found()
    offer = Challenge(b"x" * 25, 2**63, ()).encode()
    request = house.device.prove(house.device.ask(), offer, "authenticate", b"", {})
    assert request.proof.epoch == LAST_EPOCH
    house.session.authenticate()
    assert house.authority.numbers[-1] == (1, 0, 1)


def test_proofs_take_the_epoch_that_section_3_1_says() -> None:
    twice = Schedule(10, 2, 100)
    epochs = ProofEpochs()
    assert epochs.next(0, 0, twice, 125) == 2
    assert epochs.next(2, 1, twice, 0) == 2
    assert epochs.next(2, 2, twice, 0) == 3
    epochs.refused_as_spent(3, 7)
    assert epochs.next(2, 2, twice, 0) == 7
    epochs.forget()
    assert epochs.next(2, 2, twice, 0) == 3
    leads = []
    for _ in range(7):
        epoch = epochs.next(2, 0, twice, 0)
        epochs.refused_as_spent(epoch, epoch + 1)
        leads.append(epochs.next(2, 0, twice, 0) - epoch - 1)
    assert leads == [0, 1, 3, 7, 15, 31, 31]
    # A false refusal cannot lead out of the tree.
    epochs.refused_as_spent(LAST_EPOCH, 10**30)
    assert epochs.next(0, 0, twice, 0) == LAST_EPOCH


def test_tokens_and_payloads_take_the_epoch_that_section_3_1_says(found: Found) -> None:
    house = found(1, fake.Authority(schedule=Schedule(3600, 2, 1000)))
    device, clock = house.device, house.clock
    with pytest.raises(ProveFirst):
        device.token("iot")
    house.session.authenticate()
    tokens = [Token.decode(device.token("iot")) for _ in range(3)]
    assert [(token.epoch, token.number) for token in tokens] == [(0, 0), (0, 1), (1, 2)]
    # What was counted since the last ack moves it, the wall clock does not.
    clock.counted, clock.wall_time = 3 * 3600, 10**9
    token = Token.decode(device.token("iot"))
    assert (token.epoch, token.number, token.issued_at) == (3, 3, 1000 + 3 * 3600)
    sealed = SealedPayload.decode(device.seal(b"x"))
    assert sealed.key_name.epoch == (10**9 - 1000) // 3600
    # The clock goes back; the tree does not.
    clock.wall_time = 0
    assert SealedPayload.decode(device.seal(b"x")).key_name.epoch == sealed.key_name.epoch
    house.session.rekey()
    with pytest.raises(ProveFirst):
        Device.load(_unproven(house.saved[-1]), house.saved.append).token("iot")


def _unproven(saved: bytes) -> bytes:
    state = State.decode(saved)
    state.is_proven = False
    return state.encode()


def test_the_last_number_and_the_last_epoch(found: Found) -> None:
    house = found(1, fake.Authority(schedule=Schedule(0, 1, 1000)))
    house.session.authenticate()
    state = State.decode(house.saved[-1])
    state.branches["token"].number = MOST
    state.branches["data"].tree.advance(LAST_EPOCH)
    device = Device.load(state.encode(), house.saved.append)
    assert Token.decode(device.token("iot")).number == MOST
    with pytest.raises(Exhausted):
        device.token("iot")
    assert SealedPayload.decode(device.seal(b"x")).key_name.epoch == LAST_EPOCH
    with pytest.raises(Exhausted):
        device.seal(b"x")


def test_purposes_are_named_at_a_rekey(found: Found) -> None:
    house = found()
    house.session.rekey(purposes=("proof", "data"))
    assert set(State.decode(house.saved[-1]).branches) == {"proof", "data"}
    with pytest.raises(Malformed, match="left out"):
        house.device.token("iot")
    # One that names none leaves them as they are.
    house.session.rekey()
    assert set(State.decode(house.saved[-1]).branches) == {"proof", "data"}
    house.authority.granted = 0b0011
    house.session.rekey(purposes=("proof", "token", "file"))
    assert set(State.decode(house.saved[-1]).branches) == {"proof", "token"}
    # What was not named, no proof, or no answer, is not adopted.
    generation = house.device.generation
    for granted in (0b1011, 0b0010, None):
        house.authority.granted = granted
        with pytest.raises(Malformed):
            house.session.rekey(purposes=("proof", "token"))
    house.authority.granted = 1
    request = house.device.rekey(house.device.ask(), house.authority.challenge("", ""), 1, ATTRIBUTES)
    request._named = None
    house.authority.answers_unasked = True
    with pytest.raises(Malformed):
        house.device.acknowledge(request, house.authority.prove(request.message, request.body).reply)
    assert house.device.generation == generation
    for wrong in ((), ("token",), ("proof", "service")):
        with pytest.raises(Malformed):
            house.session.rekey(purposes=wrong)


def test_an_authority_of_before_leaves_the_purposes_as_they_are(found: Found) -> None:
    house = found()
    house.authority.refusals = [Refused("malformed", "INVALID_ARGUMENT")]
    house.session.rekey(purposes=("proof",))
    assert house.authority.log.count("rekey") == 2
    assert len(State.decode(house.saved[-1]).branches) == 4
    house.authority.refusals = [Refused("malformed", "INVALID_ARGUMENT")]
    with pytest.raises(Refused, match="malformed"):
        house.session.rekey()
    # It is asked for the same suite again, and nobody else is asked again without purposes.
    house = found()
    house.authority.refusals = [Refused("malformed", "INVALID_ARGUMENT")]
    house.session.rekey(2, purposes=("proof",))
    assert house.device.suite == 2
    house = found()
    house.authority.refusals = [Refused("suspended", "FAILED_PRECONDITION")]
    with pytest.raises(Refused, match="suspended"):
        house.session.rekey(purposes=("proof",))
    assert house.authority.log.count("rekey") == 1


def test_an_authority_that_wants_a_rekey_after_each_lets_go(found: Found) -> None:
    house = found()
    house.authority.refusals = [None, Refused("rekey-required", "FAILED_PRECONDITION")]
    with pytest.raises(Refused, match="rekey-required"):
        house.session.rekey()
    assert house.authority.log.count("rekey") == 1
    assert house.device.generation == 2


def test_what_a_device_refuses_to_make(found: Found) -> None:
    house = found()
    house.session.authenticate()
    before = house.saved[-1]
    device, challenge = house.device, house.authority.challenge("", "")
    for act in (
        lambda: device.token(""),
        lambda: device.token("x" * 256),
        lambda: device.token("iot", bytes(65)),
        lambda: device.wrap(bytes(15)),
        lambda: device.seal(bytes((16 << 20) + 1)),
        lambda: device.prove(device.ask(), challenge, "rekey", b"", ATTRIBUTES),
        lambda: device.prove(device.ask(), challenge, "Authenticate", b"", ATTRIBUTES),
        lambda: device.rekey(device.ask(), challenge, 3, ATTRIBUTES),
        lambda: Enrolling.begin("Klinik", "pump-1", {}, house.authority.identity_key),
        lambda: Enrolling.begin("klinik", "pump/1", {}, house.authority.identity_key),
        lambda: Enrolling.begin("klinik", "pump-1", {"a b": b""}, house.authority.identity_key),
        lambda: Enrolling.begin("klinik", "pump-1", {"a": bytes(4097)}, house.authority.identity_key),
        lambda: Enrolling.begin("klinik", "pump-1", {}, bytes(65)),
        lambda: Enrolling.begin("klinik", "pump-1", {}, house.authority.identity_key, 1, ("token",)),
    ):
        with pytest.raises(Malformed):
            act()
    # No number was taken for it.
    assert house.saved[-1] == before


def test_a_device_keeps_no_trees_but_those_that_it_uses(found: Found) -> None:
    house = found()
    enrolling = Enrolling.begin("klinik", "pump-1", ATTRIBUTES, house.authority.identity_key, 1, ("proof", "data"))
    device = enrolling.finish(house.authority.enroll(enrolling.request), house.saved.append, house.clock)
    assert set(State.decode(house.saved[-1]).branches) == {"proof", "data"}
    device.seal(b"x")
    with pytest.raises(Malformed, match="left out"):
        device.wrap(bytes(16))


def test_the_identity_key_is_read_in_both_forms(found: Found) -> None:
    authority = found().authority
    point = authority.identity_key
    assert identity_key(point.hex().encode() + b"\n") == point
    pem = authority.identity.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert identity_key(pem) == point
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    p384 = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for wrong in (b"", b"zz", b"04", b"\xff", b"-----BEGIN PUBLIC KEY-----\n", p384):
        with pytest.raises(Malformed):
            Enrolling.begin("klinik", "pump-1", {}, identity_key(wrong), 1)


def test_the_machine_has_both_clocks() -> None:
    clock = SystemClock()
    assert clock.wall() > 1_700_000_000 and clock.elapsed() <= clock.elapsed() and time.time() >= clock.wall()


def test_proofs_carry_fresh_nonces(found: Found) -> None:
    house = found()
    nonces = set()
    for _ in range(3):
        request = house.device.prove(house.device.ask(), house.authority.challenge("", ""), "authenticate", b"", ATTRIBUTES)
        nonces.add(Proof.decode(request.message).device_nonce)
    assert len(nonces) == 3


GOLDEN = Path(__file__).resolve().parents[2] / "testdata/state.json"


def test_a_state_of_before_is_read() -> None:
    """The file is of the Go package as well; it is never changed, only joined by others."""
    state = State.decode(GOLDEN.read_bytes())
    assert (state.tenant, state.device_id, state.generation, state.suite) == ("klinik-nord", "pump-0001", 3, 2)
    assert {purpose: (each.tree.first, each.number, each.taken) for purpose, each in state.branches.items()} == {
        "proof": (5, 17, 2),
        "token": (4, 3, 1),
        "data": (0, 0, 0),
        "file": (LAST_EPOCH, MOST + 1, 2**64 - 1),
    }
