"""SPEC section 11: messages as text, where nothing else can pass."""

import base64
import binascii

from .errors import Malformed


def to_text(message: bytes) -> str:
    """Base64 (RFC 4648, section 4), padded, on one line."""
    return base64.b64encode(message).decode()


def from_text(text: str) -> bytes:
    """The inverse of `to_text`; there is one text of each message, and nothing around it."""
    try:
        message = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("text", "is not base64 with padding") from None
    if to_text(message) != text:
        raise Malformed("text", "has bits after its end")
    return message
