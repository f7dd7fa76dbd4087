"""SPEC sections 6 and 8: what the actions' bodies and reply bodies are made of."""

from dataclasses import dataclass
from typing import Final

from .errors import Malformed
from .keys import Schedule
from .messages import MAX_BODY, read_schedule
from .primitives import expand, extract, frame, transcript, u16, u32
from .suite import AUTHORITY_SHARE
from .wire import Reader

AUTHENTICATE: Final = "authenticate"
CERTIFICATE: Final = "certificate"
REKEY: Final = "rekey"
ATTRIBUTES: Final = "attributes"
TRUST_BUNDLE: Final = "trust-bundle"


def certificates(reply_body: bytes) -> list[bytes]:
    """The reply to `certificate`: DER, leaf first."""
    reader, found = Reader(reply_body), []
    while not reader.is_at_end:
        found.append(reader.framed("certificate", 1, MAX_BODY))
    if not found:
        raise Malformed("certificates", "are none")
    return found


def rekey_body(suite: int, device_share: bytes, named: int | None = None) -> bytes:
    """`named` is the set of purposes that the device is to use, where it is to use others than before."""
    return u16(suite) + frame(device_share) + (b"" if named is None else u32(named))


@dataclass(frozen=True, slots=True)
class RekeyReply:
    """The reply to `rekey`."""

    authority_share: bytes
    generation: int
    schedule: Schedule
    # The set of purposes from now on, if the device named one.
    granted: int | None = None

    @classmethod
    def decode(cls, suite: int, reply_body: bytes, named: int | None = None) -> "RekeyReply":
        reader = Reader(reply_body)
        share = reader.framed("authority share", AUTHORITY_SHARE[suite], AUTHORITY_SHARE[suite])
        generation, schedule, granted = reader.number("generation", 8, 2), read_schedule(reader), None
        if named is not None:
            granted = reader.number("purposes", 4)
            if granted & ~named or not granted & 1:
                raise Malformed("purposes", "are others than were named, or lack proof")
        reply = cls(share, generation, schedule, granted)
        reader.end("rekey reply")
        return reply

    def transcript(self, proof: bytes, suite: int, device_share: bytes) -> bytes:
        """T′ of section 6; `proof` is T of section 5."""
        times = (self.schedule.period, self.schedule.max_uses, self.schedule.not_before)
        granted = () if self.granted is None else (self.granted,)
        return transcript("rekey", proof, suite, device_share, self.authority_share, self.generation, *times, *granted)


def next_root(epoch_secret: bytes, ikm: bytes, rekey_transcript: bytes) -> bytes:
    """root[g+1]: it needs the former keys and the new agreement both."""
    salt = expand(epoch_secret, "rekey", rekey_transcript)
    return expand(extract(salt, ikm), "root", rekey_transcript)
