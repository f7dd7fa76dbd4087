"""SPEC section 8.2: a key that the authority makes, for a device whose programs need one that it cannot make."""

from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from .actions import certificates
from .errors import Malformed, Untrusted
from .wire import Reader

MADE_KEY: Final = "made-key"
KINDS: Final = ("p256", "p384", "rsa-2048", "rsa-3072", "rsa-4096")
_MAX_PKCS8: Final = 4096
_TAG: Final = 16


def check_kind(kind: str) -> str:
    if kind not in KINDS:
        raise Malformed("kind", f"is none of {', '.join(KINDS)}")
    return kind


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key with its certificate. The authority keeps no copy."""

    # PKCS#8, DER. It is secret.
    pkcs8: bytes = field(repr=False)
    # DER, leaf first.
    certificates: list[bytes]


def open_made_key(sealing_key: bytes, proof_transcript: bytes, kind: str, reply_body: bytes) -> MadeKey:
    """Opens a reply body that the ack vouches for; `proof_transcript` is T of section 5."""
    pkcs8, rest = unseal(sealing_key, proof_transcript, reply_body)
    chain = certificates(rest)
    if _kind(pkcs8, chain[0]) != kind:
        raise Untrusted("the key that came is of another kind than was asked for")
    return MadeKey(pkcs8, chain)


def unseal(sealing_key: bytes, proof_transcript: bytes, reply_body: bytes) -> tuple[bytes, bytes]:
    """The key, and what is behind it."""
    reader = Reader(reply_body)
    nonce = reader.take("nonce", 12)
    ciphertext = reader.framed("ciphertext", 1 + _TAG, _MAX_PKCS8 + _TAG)
    try:
        return AESGCM(sealing_key).decrypt(nonce, ciphertext, proof_transcript), reader.rest()
    except InvalidTag:
        raise Untrusted("the key that came is not sealed for this request") from None


def _kind(pkcs8: bytes, leaf: bytes) -> str:
    """The kind of a key, which the certificate must be for."""
    try:
        key, certificate = load_der_private_key(pkcs8, None), x509.load_der_x509_certificate(leaf)
        own, certified = (
            public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            for public in (key.public_key(), certificate.public_key())
        )
    except (ValueError, TypeError):
        raise Malformed("made key", "or its certificate cannot be read") from None
    if own != certified:
        raise Untrusted("the certificate that came is for another key")
    if isinstance(key, rsa.RSAPrivateKey):
        return f"rsa-{key.key_size}"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return {"secp256r1": "p256", "secp384r1": "p384"}.get(key.curve.name, "")
    return ""
