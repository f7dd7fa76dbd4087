"""What can go wrong at the device's end. No error carries a key, an attribute's value or the bytes of a message."""


class DeviceError(Exception):
    """Everything that this package raises by itself."""


class Malformed(DeviceError):
    """Bytes that are no message of section 11, or a value out of its bounds."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field} {why}")
        self.field = field


class Untrusted(DeviceError):
    """A signature, confirmation or ack is wrong: what came is not the authority's. Nothing was changed by it."""


class Overtaken(DeviceError):
    """The question or request was given up, because a later question was asked or it was answered already. Ask again."""


class NotMeasured(DeviceError):
    """The authority asks for an attribute that the device did not measure."""


class ProveFirst(DeviceError):
    """Before its first token a generation needs one acknowledged proof (sections 4 and 6)."""


class Exhausted(DeviceError):
    """The purpose has no number left in this generation; for all but `proof`, a rekey gives new ones (section 5)."""


class StateError(DeviceError):
    """The state cannot be read, is not of this format, or is in use by another process."""
