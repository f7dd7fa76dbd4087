"""The trust bundle's second version: by which keys a device knows the platform."""

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from conftest import Found
from wardein_device import Malformed, PinBundle, Untrusted, pin
from wardein_device.primitives import u8, u16, u64
from wardein_device.suite import Ephemeral

# One that the authority's own code signed; Go and Rust read it too.
IDENTITY, SIGNED = (
    bytes.fromhex(line.split()[1])
    for line in (Path(__file__).parents[2] / "testdata/pin-bundle.txt").read_text().splitlines()
)
TENANT = "klinik"


def made(key: ec.EllipticCurvePrivateKey, *, head: bytes = b"wardein trust bundle 2\0", count: int = 1, has_next: int = 1) -> bytes:
    tenant, root = TENANT.encode(), b"0\0"
    bundle = head + u8(len(tenant)) + tenant + u64(7) + u64(100) + u64(200) + bytes(32) + bytes([9]) * 32
    bundle += u8(has_next) + (bytes([2]) * 32 if has_next else b"") + u8(count) + (u16(len(root)) + root) * count
    signature = key.sign(bundle, ec.ECDSA(hashes.SHA256()))
    return bundle + u8(len(signature)) + signature


def test_the_authoritys_bundle_is_read_and_every_changed_byte_is_found() -> None:
    bundle = PinBundle.open(SIGNED, IDENTITY)
    assert (bundle.tenant, bundle.epoch, bundle.not_before, bundle.not_after) == (TENANT, 7, 100, 200)
    assert (bundle.current, bundle.next, bundle.recovery) == (bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32)
    assert bundle.roots == (b"0\0", bytes([7]) * 300)
    for at in range(len(SIGNED)):
        changed = SIGNED[:at] + bytes([SIGNED[at] ^ 1]) + SIGNED[at + 1 :]
        for wrong in (changed, SIGNED[:at]):
            with pytest.raises((Malformed, Untrusted)):
                PinBundle.open(wrong, IDENTITY)
    with pytest.raises(Malformed):
        PinBundle.open(SIGNED + b"\0", IDENTITY)


def test_what_is_not_of_its_form_is_refused_whoever_signed_it() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    identity = Ephemeral(key, None).share
    assert PinBundle.open(made(key, has_next=0), identity).next is None
    with pytest.raises(Untrusted):
        PinBundle.open(made(key), IDENTITY)
    for wrong in (
        made(key, head=b"wardein trust bundle 3\0"),
        made(key, count=0),
        made(key, count=5),
        made(key, has_next=2),
        bytes(40 * 1024 + 1),
    ):
        with pytest.raises(Malformed):
            PinBundle.open(wrong, identity)


def test_no_epoch_falls_and_none_has_two_sets_of_pins() -> None:
    held = PinBundle.open(SIGNED, IDENTITY)
    held.judge(TENANT, None)
    held.judge(TENANT, held)
    replace(held, epoch=8, current=bytes(32)).judge(TENANT, held)
    held.judge(TENANT, replace(held, tenant="other", epoch=9))
    for wrong, tenant in [
        (held, "other"),
        (replace(held, epoch=6), TENANT),
        (replace(held, current=bytes(32)), TENANT),
    ]:
        with pytest.raises(Untrusted):
            wrong.judge(tenant, held)


def test_an_expired_bundle_knows_the_recovery_key_alone() -> None:
    held = PinBundle.open(SIGNED, IDENTITY)
    for one in (held.current, held.next, held.recovery):
        assert one is not None
        assert held.accepts(one, 200)
        assert held.accepts(one, 201) == (one == held.recovery)
    assert not held.accepts(pin(b"another key"), 150)


def test_a_device_gets_the_bundle_by_a_proof(found: Found) -> None:
    house = found()
    assert house.session.signed_bundle() is None
    house.authority.bodies["trust-bundle"] = made(house.authority.identity)
    signed = house.session.signed_bundle()
    assert signed is not None
    assert PinBundle.open(signed, house.authority.identity_key).epoch == 7
