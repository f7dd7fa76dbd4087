"""SPEC sections 4, 5 and 8: attributes, their digests, and what binds a proof to them."""

from collections.abc import Mapping, Sequence
from typing import Final

from . import names
from .errors import Malformed, NotMeasured
from .primitives import frame, sha256

MOST: Final = 64
MAX_VALUE: Final = 4096


def check(attributes: Mapping[str, bytes]) -> None:
    if len(attributes) > MOST:
        raise Malformed("attributes", f"are more than {MOST}")
    for name, value in attributes.items():
        names.attribute_name(name)
        if len(value) > MAX_VALUE:
            raise Malformed("attribute value", f"has more than {MAX_VALUE} bytes")


def digest_of(name: str, value: bytes) -> bytes:
    """attribute_digest(name, value)."""
    return sha256(frame(name.encode()) + frame(value))


def digest(attributes: Mapping[str, bytes]) -> bytes:
    """attributes_digest, names in byte order."""
    check(attributes)
    return sha256(b"".join(frame(name.encode()) + digest_of(name, attributes[name]) for name in sorted(attributes)))


def encode(attributes: Mapping[str, bytes]) -> bytes:
    """The body of the action `attributes`, and the end of an enrollment request. (Names are ASCII: `sorted` is byte order.)"""
    check(attributes)
    return b"".join(frame(name.encode()) + frame(attributes[name]) for name in sorted(attributes))


def binding(challenge: bytes, recipe: Sequence[str], measured: Mapping[str, bytes]) -> bytes:
    """What a proof's keys are bound to: the challenge, and what was measured for it in the order of the recipe."""
    hashed = frame(challenge)
    for name in recipe:
        if name not in measured:
            raise NotMeasured(f"the authority asks for the attribute {name}, which was not measured")
        hashed += digest_of(name, measured[name])
    return sha256(hashed)
