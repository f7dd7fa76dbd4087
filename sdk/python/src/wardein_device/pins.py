"""The trust bundle's second version (SPEC section 8): by which keys a device knows the platform that it delivers to. The form is at the top of
`crates/pki/src/pin_bundle.rs`."""

import hashlib
from dataclasses import dataclass
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from . import names
from .errors import Malformed, Untrusted
from .suite import point
from .wire import Reader

PIN_BUNDLE: Final = b"\x02"
MAX_BUNDLE: Final = 40 * 1024
_CONTEXT: Final = b"wardein trust bundle 2\0"
_MAX_ROOTS: Final = 4
_MAX_ROOT: Final = 8 * 1024
# The year 9999, beyond which no certificate goes.
_LAST: Final = 253_402_300_799


def pin(public_key: bytes) -> bytes:
    """Of a SubjectPublicKeyInfo, DER (RFC 7469, 2.4)."""
    return hashlib.sha256(public_key).digest()


@dataclass(frozen=True, slots=True)
class PinBundle:
    """A bundle whose signature was verified."""

    tenant: str
    # It rises whenever the pins change.
    epoch: int
    # Unix seconds, both within it.
    not_before: int
    not_after: int
    # Of the key that the platform has, of the one that it goes over to next, and of one that is kept offline.
    current: bytes
    next: bytes | None
    recovery: bytes
    # DER.
    roots: tuple[bytes, ...]

    @classmethod
    def open(cls, signed: bytes, identity_key: bytes) -> Self:
        """Reads one that the identity key, 65 bytes, signed. `judge` says whether it is to be taken."""
        if len(signed) > MAX_BUNDLE:
            raise Malformed("trust bundle", f"has more than {MAX_BUNDLE} bytes")
        reader = Reader(signed)
        if reader.take("context", len(_CONTEXT)) != _CONTEXT:
            raise Malformed("trust bundle", "is not one of version 2")
        try:
            tenant = names.tenant(reader.take("tenant", reader.number("tenant", 1)).decode())
        except UnicodeDecodeError:
            raise Malformed("tenant", "is not UTF-8") from None
        epoch, not_before = reader.number("epoch", 8), reader.number("not before", 8)
        not_after = reader.number("not after", 8, not_before + 1, _LAST)
        current, recovery = reader.take("pin", 32), reader.take("pin", 32)
        upcoming = reader.take("pin", 32) if reader.number("has next", 1, 0, 1) else None
        count = reader.number("roots", 1, 1, _MAX_ROOTS)
        roots = tuple(reader.take("root", reader.number("root", 2, 1, _MAX_ROOT)) for _ in range(count))
        covered = signed[: reader.at]
        signature = reader.take("signature", reader.number("signature", 1))
        reader.end("trust bundle")
        try:
            point("identity key", identity_key).verify(signature, covered, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise Untrusted("the trust bundle is not signed by the identity key") from None
        return cls(tenant, epoch, not_before, not_after, current, upcoming, recovery, roots)

    def judge(self, tenant: str, held: "PinBundle | None") -> None:
        """Refuses one of another tenant, and one that is older than the one that the device holds."""
        if self.tenant != tenant:
            raise Untrusted("the trust bundle is of another tenant")
        # That of a former tenant holds nobody up.
        if held is None or held.tenant != tenant:
            return
        if self.epoch < held.epoch:
            raise Untrusted("the trust bundle is of an epoch before that of the one that is held")
        if self.epoch == held.epoch and self._pins() != held._pins():
            raise Untrusted("the trust bundle has other pins than the one of the same epoch that is held")

    def accepts(self, one: bytes, now: int) -> bool:
        """Whether a server whose key has that pin is the platform, at Unix second `now`. Once it has expired, only the recovery key is."""
        return one == self.recovery or (now <= self.not_after and one in self._pins())

    def _pins(self) -> tuple[bytes | None, ...]:
        return self.current, self.next, self.recovery
