"""SPEC section 1: hash, MAC, KDF, and the notation of everything else."""

import hashlib
import hmac
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

PREFIX: Final = b"ddkg1 "
MAX_U64: Final = 2**64 - 1


def u8(number: int) -> bytes:
    return number.to_bytes(1, "big")


def u16(number: int) -> bytes:
    return number.to_bytes(2, "big")


def u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def u64(number: int) -> bytes:
    return number.to_bytes(8, "big")


def frame(data: bytes) -> bytes:
    return u32(len(data)) + data


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def mac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def equal(left: bytes, right: bytes) -> bool:
    """In constant time. Macs are compared by nothing else."""
    return hmac.compare_digest(left, right)


def transcript(label: str, *fields: bytes | str | int) -> bytes:
    """An integer field is its `u64`, a text its UTF-8 bytes."""
    hashed = hashlib.sha256(frame(PREFIX + label.encode()))
    for field in fields:
        if isinstance(field, int):
            field = u64(field)
        elif isinstance(field, str):
            field = field.encode()
        hashed.update(frame(field))
    return hashed.digest()


def extract(salt: bytes, ikm: bytes) -> bytes:
    """HKDF-Extract (RFC 5869, 2.2)."""
    return mac(salt, ikm)


def expand(secret: bytes, label: str, context: bytes = b"", length: int = 32) -> bytes:
    """HKDF-Expand with an `info` in the form of RFC 8446 section 7.1."""
    name = PREFIX + label.encode()
    info = u16(length) + u8(len(name)) + name + u8(len(context)) + context
    return HKDFExpand(hashes.SHA256(), length, info).derive(secret)
