"""What the authority says of devices."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from ._pb import trust_pb2
from .words import Assurance, DeviceState, OfflineUse, PcrStanding, Reason, Verdict

_YEAR_10000: Final = 253_402_300_800


@dataclass(frozen=True, slots=True)
class DeviceVerdict:
    """A verdict on a device, as a platform keeps it."""

    device_id: str
    verdict: Verdict
    # Every reason; IN_GOOD_STANDING alone where the verdict is TRUSTED.
    reasons: tuple[Reason, ...]
    # For how many seconds it may be kept; 0 where it may not.
    lifetime: float
    state: DeviceState
    # UNSPECIFIED for a device that derives its keys.
    assurance: Assurance
    # Whether another device was enrolled with the same key or in the same TPM.
    is_shared: bool
    # The Unix second, by the authority's time, from which time alone makes another one; 0 where it does not.
    valid_until: float = 0.0
    # What it may be used for when it is stale, and for how many seconds from then on.
    offline: tuple[tuple[OfflineUse, float], ...] = ()

    def offline_for(self, use: OfflineUse) -> float:
        """For how many seconds after it became stale it may be used for that; 0 where it may not."""
        return max((time for each, time in self.offline if each is use), default=0.0)

    @property
    def is_trusted(self) -> bool:
        """Whether nothing speaks against it."""
        return self.verdict is Verdict.TRUSTED


@dataclass(frozen=True, slots=True)
class ReceiptFor:
    """What a receipt is bound to: who reads one for another audience, or with another nonce, refuses it."""

    # 1 to 256 printable ASCII characters, but no `"` and no `\\`.
    audience: str
    # 8 to 64 random bytes, drawn for this receipt.
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Checked:
    """A verdict that was asked for."""

    verdict: Verdict
    # Every reason; IN_GOOD_STANDING alone where the verdict is TRUSTED.
    reasons: tuple[Reason, ...]
    # By the authority's clock. It may be kept from the one to the other: `lifetime`, counted from when it was asked for.
    decided_at: datetime
    keep_until: datetime
    tenant: str
    # Empty where the verdict is UNKNOWN and none was named.
    device_id: str
    state: DeviceState
    # UNSPECIFIED for a device that derives its keys.
    assurance: Assurance
    # By which comparison the PCRs of its TPM were found good; UNSPECIFIED without a quote.
    pcrs: PcrStanding
    quoted_at: datetime | None
    is_shared: bool
    # A verdict of a higher revision is the newer one.
    revision: int
    # The answer as a compact JWS, where a receipt was asked for.
    receipt: str | None
    # What it may be used for after `keep_until`, while the authority is not reached, and for how many seconds.
    offline: tuple[tuple[OfflineUse, float], ...] = ()

    @property
    def is_trusted(self) -> bool:
        """Whether nothing spoke against it when it was decided."""
        return self.verdict is Verdict.TRUSTED

    @property
    def lifetime(self) -> timedelta:
        """For how long it may be kept."""
        return max(self.keep_until - self.decided_at, timedelta(0))


@dataclass(frozen=True, slots=True)
class Login:
    """A login by token that is good."""

    # The device's name at the platform, by the grant's template.
    user_name: str
    trust: Checked
    # When the device made the token, as far as it knows the time.
    issued_at: datetime | None
    # The organization and the groups in which the platform puts the device, by the grant's templates.
    organization: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """A device that the platform may ask about."""

    device_id: str
    state: DeviceState
    profile: str
    # Empty where the station gave none.
    model: str
    # In GS1 form; empty where the station gave none.
    udi: str
    enrolled_at: datetime | None


def device_verdict(message: trust_pb2.DeviceVerdict) -> DeviceVerdict:
    """As the wire has it."""
    return DeviceVerdict(
        message.device_id,
        Verdict(message.verdict),
        _reasons(message.reasons),
        seconds(message.lifetime),
        DeviceState(message.state),
        Assurance(message.assurance),
        message.is_shared,
        float(message.valid_until.seconds) if message.HasField("valid_until") else 0.0,
        _offline(message.offline),
    )


def checked(message: trust_pb2.CheckResponse) -> Checked:
    """As the wire has it."""
    decided_at = moment(message.decided_at) or datetime.fromtimestamp(0, UTC)
    return Checked(
        Verdict(message.verdict),
        _reasons(message.reasons),
        decided_at,
        # Where nothing is said it may not be kept.
        (moment(message.keep_until) if message.HasField("keep_until") else None) or decided_at,
        message.tenant,
        message.device_id,
        DeviceState(message.state),
        Assurance(message.assurance),
        PcrStanding(message.pcrs),
        moment(message.quoted_at) if message.HasField("quoted_at") else None,
        message.is_shared,
        message.revision,
        message.receipt or None,
        _offline(message.offline),
    )


def subject(message: trust_pb2.Subject) -> Subject:
    """As the wire has it."""
    enrolled_at = moment(message.enrolled_at) if message.HasField("enrolled_at") else None
    return Subject(message.device_id, DeviceState(message.state), message.profile, message.model, message.udi, enrolled_at)


def moment(at: Timestamp) -> datetime | None:
    """None of one that is out of the contract's bounds: years 1970 to 9999."""
    if not (0 <= at.seconds < _YEAR_10000 and 0 <= at.nanos < 1_000_000_000):
        return None
    return datetime.fromtimestamp(at.seconds, UTC) + timedelta(microseconds=at.nanos // 1000)


def seconds(span: Duration) -> float:
    """0 of one that is out of bounds: it claims nothing."""
    if span.seconds < 0 or not 0 <= span.nanos < 1_000_000_000:
        return 0.0
    return span.seconds + span.nanos / 1e9


def _offline(limits: Iterable[trust_pb2.OfflineLimit]) -> tuple[tuple[OfflineUse, float], ...]:
    return tuple((OfflineUse(each.use), seconds(each.time)) for each in limits)


def _reasons(numbers: Iterable[int]) -> tuple[Reason, ...]:
    given = tuple(numbers)
    return _GOOD if given == _GOOD else tuple(map(Reason, given))


# One for all devices of which nothing else is to be said.
_GOOD: Final = (Reason.IN_GOOD_STANDING,)
