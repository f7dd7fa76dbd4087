"""SPEC section 13: what the device does about a refusal. The table is complete; a test compares it with SPEC.md."""

import random
from collections.abc import Mapping
from enum import Enum
from typing import Final

from .errors import DeviceError


class Action(Enum):
    """What the device does; the value is SPEC's word for it."""

    # Proves the request again, at once, at most six times in a row; then as `SEEK_HELP`.
    ASK_AGAIN = "ask again"
    # Takes the epoch named, and proves the request again.
    TAKE_EPOCH = "take the epoch"
    # Sends the confirmation of its enrollment, then the request again.
    CONFIRM = "confirm"
    # Rekeys, then sends the request again.
    REKEY = "rekey"
    # Asks for the rekey with suite 2, never with a lower one.
    TAKE_SUITE = "take the suite"
    # The same again after a pause that doubles, or that the refusal names.
    WAIT = "wait"
    # Says so where a person sees it, and tries again in a pause that doubles up to an hour.
    SEEK_HELP = "seek help"
    # Says so where a person sees it, and asks for nothing more but once a day.
    STOP = "stop"
    # Says so where a person sees it: the same request never succeeds.
    MEND = "mend"


_CODES: Final[Mapping[Action, str]] = {
    Action.ASK_AGAIN: "challenge-expired challenge-from-the-future challenge-unknown replayed",
    Action.TAKE_EPOCH: "epoch-ahead epoch-spent",
    Action.CONFIRM: "enrollment-pending pending",
    Action.REKEY: "rekey-required",
    Action.TAKE_SUITE: "suite-not-allowed",
    Action.WAIT: """
        broken-off clock-held contended issuance-revoked made-key-quota overloaded rate-limited request-timeout
        signatures-exhausted signer-unavailable stopping store-unavailable
    """,
    Action.SEEK_HELP: """
        already-enrolled attest-magic attest-nonce attest-signature attribute-dropped ca-missing
        certificate-name-unfit certificate-profile-beyond-ca clone-suspected confirmation-wrong
        csr-key-not-accepted device-unknown fault generation-pending generation-retired generation-unknown
        internal keeper-not-allowed key-policy-changed keys-after-backup line-unknown mac-wrong pcr-changed
        pcr-digest pcr-selection pcr-unknown pcr-value protocol-contradicts quarantined quote-missing
        quote-without-tpm receipt-contradicts receipt-replayed release-at-device-off release-needs-site
        release-state release-unknown repository-unknown retention-full signature-wrong suspended
        update-quota visit-closed visit-not-released visit-quota visit-unknown
    """,
    Action.STOP: "retired revoked transferred",
    Action.MEND: """
        action-needs-derived-keys action-unknown attest-scheme attest-type attribute-unknown body-wrong
        csr-key csr-key-of-another csr-malformed csr-rsa-exponent csr-rsa-modulus csr-rsa-roca csr-signature
        csr-signature-algorithm csr-too-long csr-trailing-bytes csr-version malformed method-unknown
        not-supported protocol-other-device protocol-other-visit protocol-window receipt-other-device
        receipt-other-release share-invalid too-large tpm-too-long tpm-trailing-bytes tpm-truncated
        tpm-unsupported tpm-value transfer-unknown wrong-device
    """,
}

ACTIONS: Final[Mapping[str, Action]] = {code: action for action, codes in _CODES.items() for code in codes.split()}

# For a code that this release does not know.
_BY_STATUS: Final[Mapping[str, Action]] = {
    "UNAVAILABLE": Action.WAIT,
    "RESOURCE_EXHAUSTED": Action.WAIT,
    "INVALID_ARGUMENT": Action.MEND,
    "UNIMPLEMENTED": Action.MEND,
}


def action_of(code: str | None, status: str) -> Action:
    """`status` is gRPC's name of it. An answer without a code is not the authority's: the device waits."""
    if code is None:
        return Action.WAIT
    return ACTIONS.get(code) or _BY_STATUS.get(status, Action.SEEK_HELP)


class Refused(DeviceError):
    """The request was refused, or not answered by the authority. Nothing authenticates that, so it erases nothing."""

    def __init__(
        self, code: str | None, status: str, epoch: int | None = None, pause: float | None = None, words: str = ""
    ) -> None:
        super().__init__(f"{code or 'no answer of the authority'} ({status})" + (f": {words}" if words else ""))
        self.code, self.status = code, status
        # The one that `epoch-spent` names.
        self.epoch = epoch
        # Seconds that the refusal names for `WAIT`.
        self.pause = pause
        self.action = action_of(code, status)


class Patience:
    """How long to wait before the same again. It is a share of a bound, so that a fleet does not come back as one."""

    FIRST: Final = 5.0
    HOUR: Final = 3600.0
    DAY: Final = 24 * HOUR

    def __init__(self) -> None:
        self._bound = self.FIRST

    def after(self, refused: Refused) -> float | None:
        """Seconds; `None` where the same request never succeeds."""
        if refused.action is Action.MEND:
            return None
        if refused.action is Action.STOP:
            return self.DAY
        bound = self._bound
        self._bound = min(2 * bound, self.HOUR)
        if refused.action is Action.WAIT and refused.pause is not None:
            bound = max(bound, refused.pause)
            return random.uniform(refused.pause, bound)
        return random.uniform(bound / 2, bound)

    def answered(self) -> None:
        """A request was acknowledged."""
        self._bound = self.FIRST
