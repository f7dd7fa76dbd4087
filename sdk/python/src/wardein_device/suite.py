"""SPEC sections 1 and 4: key agreement, suites 1 and 2, the device's part."""

from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey

from .errors import Malformed

POINT_LENGTH: Final = 65
_CIPHERTEXT_LENGTH: Final = 1088
_CURVE: Final = ec.SECP256R1()
# P-256; P-256 and ML-KEM-768.
DEVICE_SHARE: Final = {1: POINT_LENGTH, 2: POINT_LENGTH + 1184}
AUTHORITY_SHARE: Final = {1: POINT_LENGTH, 2: POINT_LENGTH + _CIPHERTEXT_LENGTH}


def check_suite(suite: int) -> int:
    if suite not in DEVICE_SHARE:
        raise Malformed("suite", "is neither 1 nor 2")
    return suite


def point(field: str, data: bytes) -> ec.EllipticCurvePublicKey:
    """An uncompressed point of P-256. That it is on the curve is checked by the library."""
    if len(data) != POINT_LENGTH or data[0] != 4:
        raise Malformed(field, "is not an uncompressed point of P-256")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, data)
    except ValueError:
        raise Malformed(field, "is not a point of P-256") from None


class Ephemeral:
    """The device's private keys of one agreement, and what it shows of them."""

    __slots__ = ("_mlkem", "_p256", "share", "suite")

    def __init__(self, p256: ec.EllipticCurvePrivateKey, mlkem: MLKEM768PrivateKey | None) -> None:
        self._p256, self._mlkem = p256, mlkem
        self.suite = 1 if mlkem is None else 2
        self.share = p256.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        if mlkem is not None:
            self.share += mlkem.public_key().public_bytes_raw()

    @classmethod
    def generate(cls, suite: int) -> "Ephemeral":
        check_suite(suite)
        return cls(ec.generate_private_key(_CURVE), MLKEM768PrivateKey.generate() if suite == 2 else None)

    def agree(self, share: bytes) -> bytes:
        """`ecdh_x`, in suite 2 `ecdh_x ‖ mlkem_ss`."""
        if len(share) != AUTHORITY_SHARE[self.suite]:
            raise Malformed("authority share", "has another length than its suite's")
        agreed = self._p256.exchange(ec.ECDH(), point("authority share", share[:POINT_LENGTH]))
        if self._mlkem is not None:
            agreed += self._mlkem.decapsulate(share[POINT_LENGTH:])
        return agreed

    def __repr__(self) -> str:
        return f"Ephemeral(suite {self.suite})"
