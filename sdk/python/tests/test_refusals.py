"""SPEC section 13: the table is complete, and the session does what it says."""

import re

import pytest

import fake
from conftest import Found
from vectors import SPEC
from wardein_device import ACTIONS, Action, Patience, Refused, Untrusted, action_of
from wardein_device.keys import Schedule
from wardein_device.session import Answer


def test_the_table_is_that_of_the_specification() -> None:
    section = SPEC.split("\n## 13. ")[1]
    rows = re.findall(r"^\| `([^`]+)` \| \*([^*]+)\* \| .+ \|$", section, re.MULTILINE)
    actions = re.findall(r"^\| \*([^*]+)\* \| .+ \|$", section, re.MULTILINE)
    assert len(rows) > 50 and len(actions) == len(Action)
    assert {code: action.value for code, action in ACTIONS.items()} == dict(rows)
    assert {action.value for action in Action} == set(actions)


@pytest.mark.parametrize(
    ("code", "status", "action"),
    [
        ("suspended", "UNAVAILABLE", Action.SEEK_HELP),
        ("of-a-later-release", "UNAVAILABLE", Action.WAIT),
        ("of-a-later-release", "RESOURCE_EXHAUSTED", Action.WAIT),
        ("of-a-later-release", "INVALID_ARGUMENT", Action.MEND),
        ("of-a-later-release", "UNIMPLEMENTED", Action.MEND),
        ("of-a-later-release", "FAILED_PRECONDITION", Action.SEEK_HELP),
        ("of-a-later-release", "", Action.SEEK_HELP),
        # Not the authority's: a proxy's, say.
        (None, "PERMISSION_DENIED", Action.WAIT),
        (None, "UNIMPLEMENTED", Action.WAIT),
    ],
)
def test_a_code_that_is_not_known(code: str | None, status: str, action: Action) -> None:
    assert action_of(code, status) is action


def test_asks_again_at_most_six_times(found: Found) -> None:
    house = found()
    house.authority.refusals = [Refused("replayed", "UNAUTHENTICATED") for _ in range(5)]
    house.session.authenticate()
    assert house.authority.log.count("authenticate") == 6
    house.authority.refusals = [Refused("replayed", "UNAUTHENTICATED") for _ in range(9)]
    with pytest.raises(Refused) as refused:
        house.session.authenticate()
    assert refused.value.action is Action.SEEK_HELP
    assert house.authority.log.count("authenticate") == 12
    # Each answered a challenge of its own.
    assert house.authority.log.count("challenge") == 12


def test_takes_the_epoch_that_is_named(found: Found) -> None:
    house = found(1, fake.Authority(schedule=Schedule(0, 0, 1000)))
    house.authority.refusals = [Refused("epoch-spent", "FAILED_PRECONDITION", epoch=70)]
    house.session.authenticate()
    assert house.authority.numbers[-1] == (1, 70, 1)
    house.authority.refusals = [
        Refused("epoch-spent", "FAILED_PRECONDITION", epoch=10**9),
        Refused("epoch-ahead", "FAILED_PRECONDITION"),
    ]
    house.session.authenticate()
    assert house.authority.numbers[-1] == (1, 70, 4)
    # None is named: the next.
    house.authority.refusals = [Refused("epoch-spent", "FAILED_PRECONDITION")]
    house.session.authenticate()
    assert house.authority.numbers[-1] == (1, 71, 6)


def test_confirms_and_asks_again(found: Found) -> None:
    house = found()
    house.authority.refusals = [Refused("enrollment-pending", "FAILED_PRECONDITION")]
    house.session.authenticate()
    assert house.authority.log == ["challenge", "authenticate", "confirm", "challenge", "authenticate"]
    house.authority.refusals = [Refused("pending", "FAILED_PRECONDITION")]
    with pytest.raises(Refused) as refused:
        house.session.authenticate()
    assert refused.value.action is Action.SEEK_HELP


def test_rekeys_and_asks_again(found: Found) -> None:
    house = found(2)
    house.authority.refusals = [Refused("rekey-required", "FAILED_PRECONDITION")]
    house.session.authenticate()
    assert [entry for entry in house.authority.log if entry != "challenge"] == [
        "authenticate",
        "rekey",
        "authenticate",
        "authenticate",
    ]
    assert (house.device.generation, house.device.suite) == (2, 2)


def test_an_authority_that_always_wants_a_rekey_lets_go(found: Found) -> None:
    house = found()
    house.authority.refusals = [
        Refused("rekey-required", "FAILED_PRECONDITION"),
        None,
        *(Refused("rekey-required", "FAILED_PRECONDITION") for _ in range(50)),
    ]
    with pytest.raises(Refused) as refused:
        house.session.authenticate()
    assert refused.value.action is Action.REKEY
    assert house.device.generation == 2


@pytest.mark.parametrize(("asked", "used"), [(1, 2), (2, None)])
def test_takes_the_higher_suite_and_never_a_lower_one(found: Found, asked: int, used: int | None) -> None:
    house = found()
    house.authority.refusals = [Refused("suite-not-allowed", "FAILED_PRECONDITION")]
    if used is None:
        with pytest.raises(Refused):
            house.session.rekey(asked)
        assert house.device.generation == 1
    else:
        house.session.rekey(asked)
        assert (house.device.generation, house.device.suite) == (2, used)


@pytest.mark.parametrize("code", sorted(ACTIONS))
def test_nothing_else_is_sent_twice_at_once(found: Found, code: str) -> None:
    if ACTIONS[code] in (Action.ASK_AGAIN, Action.TAKE_EPOCH, Action.CONFIRM, Action.REKEY):
        return
    house = found()
    house.authority.refusals = [Refused(code, "UNAVAILABLE")]
    before = house.saved[-1]
    with pytest.raises(Refused, match=code):
        house.session.authenticate()
    assert house.authority.log == ["challenge", "authenticate"]
    # No refusal erases anything.
    frontiers = [line for line in before.splitlines() if b"frontier" in line]
    assert frontiers == [line for line in house.saved[-1].splitlines() if b"frontier" in line]
    house.session.authenticate()


def test_a_false_reply_is_asked_for_again(found: Found) -> None:
    house = found()
    right, times = house.authority.prove, []

    def false_once(proof: bytes, body: bytes) -> Answer:
        answer = right(proof, body)
        times.append(1)
        return answer._replace(reply=answer.reply[:9] + bytes(32) + answer.reply[41:]) if len(times) < 3 else answer

    house.authority.prove = false_once  # type: ignore[method-assign]
    house.session.authenticate()
    assert len(times) == 3
    times[:] = [1] * -100

    def always_false(proof: bytes, body: bytes) -> Answer:
        answer = right(proof, body)
        return answer._replace(reply=answer.reply[:9] + bytes(32) + answer.reply[41:])

    house.authority.prove = always_false  # type: ignore[method-assign]
    with pytest.raises(Untrusted):
        house.session.authenticate()


def test_the_other_actions(found: Found) -> None:
    house = found()
    house.authority.bodies = {"certificate": b"\0\0\0\4leaf\0\0\0\2ca", "trust-bundle": b"PEM"}
    assert house.session.certificate(b"csr") == [b"leaf", b"ca"]
    assert house.session.trust_bundle() == b"PEM"
    house.session.announce({"board": b"x", "firmware": b"4"})
    house.authority.rekey_due = True
    house.session.authenticate()
    assert house.session.rekey_due
    house.authority.rekey_due = False
    house.session.rekey()
    assert not house.session.rekey_due


def test_pauses() -> None:
    patience = Patience()
    overloaded = Refused("overloaded", "UNAVAILABLE")
    for bound in (5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600):
        pause = patience.after(overloaded)
        assert pause is not None and bound / 2 <= pause <= bound
    patience.answered()
    pause = patience.after(Refused("suspended", "PERMISSION_DENIED", pause=3000.0))
    assert pause is not None and pause <= 5
    pause = patience.after(Refused("rate-limited", "RESOURCE_EXHAUSTED", pause=30.0))
    assert pause == 30
    pause = patience.after(Refused("rate-limited", "RESOURCE_EXHAUSTED", pause=1.0))
    assert pause is not None and 1 <= pause <= 20
    assert patience.after(Refused("malformed", "INVALID_ARGUMENT")) is None
    assert patience.after(Refused("revoked", "PERMISSION_DENIED")) == 24 * 3600
