"""SPEC section 4: enrollment, the device's part."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from . import attributes as attribute
from .clock import Clock, SystemClock
from .device import Device, Save
from .errors import Malformed, Untrusted
from .keys import PURPOSES, check_purposes
from .messages import EnrollmentReply, EnrollmentRequest
from .primitives import equal, expand, extract, mac, transcript
from .state import State, branches_of
from .suite import Ephemeral, check_suite, point


class Agreed(NamedTuple):
    """What both ends derive."""

    root: bytes
    authority_confirmation: bytes
    device_confirmation: bytes

    def __repr__(self) -> str:
        return "Agreed()"


def enrollment_transcript(request: EnrollmentRequest, reply: EnrollmentReply) -> bytes:
    """T."""
    asked = (request.suite, request.tenant, request.device_id, request.device_nonce, request.device_share)
    times = (reply.schedule.period, reply.schedule.max_uses, reply.schedule.not_before)
    digest = attribute.digest(request.attributes)
    return transcript("enroll", *asked, digest, reply.authority_share, reply.generation, *times)


def agreed(ikm: bytes, t: bytes) -> Agreed:
    root = expand(extract(t, ikm), "root", t)
    by_authority, by_device = (mac(expand(root, f"confirm {end}", t), t) for end in ("authority", "device"))
    return Agreed(root, by_authority, by_device)


def identity_key(file: bytes) -> bytes:
    """The 65 bytes of the authority's identity key, of its file `identity.pub`: hex, or PEM."""
    try:
        if not file.startswith(b"-----"):
            return bytes.fromhex(file.decode().strip())
        key = serialization.load_pem_public_key(file)
    except ValueError:
        raise Malformed("identity key", "is neither hex nor PEM") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Malformed("identity key", "is not on P-256")
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


class Enrolling:
    """An enrollment whose reply has not come. It is in memory alone: after a crash, begin again with another request."""

    __slots__ = ("_ephemeral", "_identity_key", "_purposes", "_request")

    def __init__(
        self, request: EnrollmentRequest, ephemeral: Ephemeral, identity_key: bytes, purposes: Sequence[str]
    ) -> None:
        self._request, self._ephemeral = request, ephemeral
        # Pinned: 65 bytes.
        self._identity_key = point("identity key", identity_key)
        self._purposes = check_purposes(purposes)

    @classmethod
    def begin(
        cls,
        tenant: str,
        device_id: str,
        attributes: Mapping[str, bytes],
        identity_key: bytes,
        suite: int = 2,
        purposes: Sequence[str] = PURPOSES,
    ) -> Self:
        """`purposes` are those that the device will use; it keeps no others."""
        ephemeral = Ephemeral.generate(check_suite(suite))
        nonce = os.urandom(32)
        request = EnrollmentRequest(suite, tenant, device_id, nonce, ephemeral.share, dict(attributes))
        # Judges names and attributes.
        request.encode()
        return cls(request, ephemeral, identity_key, purposes)

    @property
    def request(self) -> bytes:
        """Kind 1, for the station. The same again gets the same reply."""
        return self._request.encode()

    def finish(self, reply: bytes, save: Save, clock: Clock | None = None) -> Device:
        """Checks the reply, kind 2, and saves the device. Send `Device.confirmation()` then.

        A false reply changes nothing; the true one may still come.
        """
        parsed = EnrollmentReply.decode(reply)
        if parsed.suite != self._request.suite:
            raise Malformed("suite", "is not the one that was asked for")
        t = enrollment_transcript(self._request, parsed)
        try:
            self._identity_key.verify(parsed.signature, t, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise Untrusted("the signature over the enrollment is not the authority's") from None
        keys = agreed(self._ephemeral.agree(parsed.authority_share), t)
        if not equal(parsed.authority_confirmation, keys.authority_confirmation):
            raise Untrusted("the authority's confirmation is wrong: it derived other keys")
        state = State(
            tenant=self._request.tenant,
            device_id=self._request.device_id,
            suite=parsed.suite,
            generation=parsed.generation,
            schedule=parsed.schedule,
            known_time=parsed.schedule.not_before,
            confirmation=keys.device_confirmation,
            is_proven=False,
            branches=branches_of(keys.root, self._purposes),
        )
        save(state.encode())
        return Device(state, save, clock or SystemClock())

    def __repr__(self) -> str:
        return f"Enrolling({self._request.tenant}/{self._request.device_id})"
