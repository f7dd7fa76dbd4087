"""Wardein for platforms: whom to trust, asked and told. See README.md."""

from .cache import Miss, TrustCache
from .errors import (
    AuthorityFault,
    CallError,
    DeadlineExceeded,
    Details,
    FailedPrecondition,
    IdentityError,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    Refused,
    TransportError,
    TryLater,
    Unauthenticated,
    WardeinError,
)
from .moment import Moment
from .platform import Platform
from .stream import CheckStream
from .verdicts import Checked, DeviceVerdict, Login, ReceiptFor, Subject
from .watcher import Bookmark, Change, Event, Interrupted, Snapshot, SnapshotBegin, SnapshotEnd, Watcher
from .words import Assurance, DeviceState, OfflineUse, PcrStanding, Reason, Verdict

__all__ = [
    "Assurance",
    "AuthorityFault",
    "Bookmark",
    "CallError",
    "Change",
    "CheckStream",
    "Checked",
    "DeadlineExceeded",
    "Details",
    "DeviceState",
    "DeviceVerdict",
    "Event",
    "FailedPrecondition",
    "IdentityError",
    "Interrupted",
    "InvalidArgument",
    "Login",
    "Miss",
    "Moment",
    "NotFound",
    "OfflineUse",
    "OutOfRange",
    "PcrStanding",
    "PermissionDenied",
    "Platform",
    "Reason",
    "ReceiptFor",
    "Refused",
    "Snapshot",
    "SnapshotBegin",
    "SnapshotEnd",
    "Subject",
    "TransportError",
    "TrustCache",
    "TryLater",
    "Unauthenticated",
    "Verdict",
    "WardeinError",
    "Watcher",
]
