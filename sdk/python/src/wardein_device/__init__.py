"""The device's end of DDKG-1 (crates/ddkg/SPEC.md). Bytes in, bytes out; how they travel is the caller's affair."""

from .clock import Clock, SystemClock
from .device import Device, Question, Request, Save
from .enroll import Enrolling, identity_key
from .errors import (
    DeviceError,
    Exhausted,
    Malformed,
    NotMeasured,
    Overtaken,
    ProveFirst,
    StateError,
    Untrusted,
)
from .made_key import MadeKey
from .pins import PinBundle, pin
from .refusals import ACTIONS, Action, Patience, Refused, action_of
from .renewal import Window, renew_at
from .session import Answer, Measure, Session, Transport
from .store import Store
from .text import from_text, to_text

__all__ = [
    "ACTIONS",
    "Action",
    "Answer",
    "Clock",
    "Device",
    "DeviceError",
    "Enrolling",
    "Exhausted",
    "MadeKey",
    "Malformed",
    "Measure",
    "NotMeasured",
    "Overtaken",
    "Patience",
    "PinBundle",
    "ProveFirst",
    "Question",
    "Refused",
    "Request",
    "Save",
    "Session",
    "StateError",
    "Store",
    "SystemClock",
    "Transport",
    "Untrusted",
    "Window",
    "action_of",
    "from_text",
    "identity_key",
    "pin",
    "renew_at",
    "to_text",
]
