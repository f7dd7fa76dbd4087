"""SPEC section 8.2: a key that the authority makes, and its certificate."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from conftest import ATTRIBUTES, Found
from wardein_device import Malformed, Untrusted
from wardein_device.primitives import frame

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def pkcs8(key: Key) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def chain(key: Key) -> bytes:
    """Of one certificate, by itself: what it leads to, the ack answers for."""
    name, now = x509.Name([]), datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return frame(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))


def p256() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def test_a_key_that_was_made_comes_with_its_certificate(found: Found) -> None:
    house = found()
    for key, kind in [
        (p256(), "p256"),
        (ec.generate_private_key(ec.SECP384R1()), "p384"),
        (rsa.generate_private_key(65537, 2048), "rsa-2048"),
    ]:
        house.authority.made = pkcs8(key), chain(key)
        made = house.session.made_key(kind)
        assert made.pkcs8 == pkcs8(key)
        assert frame(made.certificates[0]) == house.authority.made[1]
        assert "pkcs8" not in repr(made)


def test_what_is_not_the_key_that_was_asked_for_is_not_taken(found: Found) -> None:
    house, key, other = found(), p256(), p256()
    for made, kind in [
        ((pkcs8(key), chain(other)), "p256"),
        ((pkcs8(key), chain(key)), "p384"),
        ((b"none", chain(key)), "p256"),
        ((pkcs8(key), b""), "p256"),
        ((pkcs8(key), frame(b"none")), "p256"),
        ((pkcs8(key) + bytes(4096), chain(key)), "p256"),
    ]:
        house.authority.made = made
        with pytest.raises((Malformed, Untrusted)):
            house.session.made_key(kind)
    with pytest.raises(Malformed):
        house.session.made_key("rsa-1024")


def test_the_reply_of_another_request_is_not_opened(found: Found) -> None:
    house, key = found(), p256()
    house.authority.made = pkcs8(key), chain(key)
    bodies = []
    for _ in range(2):
        question = house.device.ask()
        offered = house.authority.challenge("", "")
        request = house.device.prove(question, offered, "made-key", b"p256", ATTRIBUTES)
        reply = house.authority.prove(request.message, request.body).reply
        bodies.append((request, house.device.acknowledge(request, reply)))
    (first, of_first), (second, of_second) = bodies
    assert first.made_key(of_first).pkcs8 == second.made_key(of_second).pkcs8 == pkcs8(key)
    for request, body in [(first, of_second), (second, of_first)]:
        with pytest.raises(Untrusted):
            request.made_key(body)
    with pytest.raises(Malformed):
        house.device.prove(house.device.ask(), offered, "made-key", b"dsa", ATTRIBUTES)
