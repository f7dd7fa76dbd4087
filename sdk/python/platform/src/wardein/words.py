"""The closed words of the contract. sdk/generate.sh writes this from proto/: do not edit it."""

from .word import Word

__all__ = ["Assurance", "DeviceState", "OfflineUse", "PcrStanding", "Reason", "Verdict"]


class Verdict(Word):
    """Whether a device is to be trusted."""

    # Unset.
    UNSPECIFIED = 0
    # Nothing speaks against it.
    TRUSTED = 1
    # Trusted for what the platform's own rules allow a device in that condition.
    RESTRICTED = 2
    # Not to be trusted.
    NOT_TRUSTED = 3
    # No such device in this tenant.
    UNKNOWN = 4


class Reason(Word):
    """Why a verdict is as it is."""

    # Unset.
    UNSPECIFIED = 0
    # Nothing speaks against it.
    IN_GOOD_STANDING = 1
    # No such device in this tenant.
    NO_SUCH_DEVICE = 2
    # The device was enrolled and has not confirmed.
    PENDING = 3
    # The device is suspended.
    SUSPENDED = 4
    # The device is in quarantine.
    QUARANTINED = 5
    # The device was revoked.
    REVOKED = 6
    # The device was retired.
    RETIRED = 7
    # The certificate was not issued here for this tenant.
    CERTIFICATE_UNKNOWN = 8
    # The certificate is not valid yet.
    CERTIFICATE_NOT_YET_VALID = 9
    # The certificate has expired.
    CERTIFICATE_EXPIRED = 10
    # The certificate was revoked.
    CERTIFICATE_REVOKED = 11
    # The device went over to another tenant.
    TRANSFERRED = 12
    # By a trust policy: another device was enrolled with its key or its TPM.
    KEY_SHARED = 13
    # By a trust policy: the key that it signs with is less surely held than the policy asks.
    ASSURANCE_LOW = 14
    # By a trust policy: the last accepted quote of its TPM is too old, or there was none.
    ATTESTATION_OLD = 15
    # By a trust policy: its keys were agreed too long ago.
    KEYS_OLD = 16
    # By a trust policy: it has proved or signed nothing for too long.
    SILENT = 17
    # By a trust policy: its firmware is below a floor.
    FIRMWARE_OLD = 18
    # By a trust policy: the version of its firmware is not on record.
    FIRMWARE_UNKNOWN = 19
    # By a trust policy: what it runs is not a release that its maker approves, or it has not told.
    FIRMWARE_UNAPPROVED = 20


class OfflineUse(Word):
    """What a platform does on the word of a verdict."""

    # Unset.
    UNSPECIFIED = 0
    # It takes in the data that the device sends.
    DATA = 1
    # It lets the device in: a login, a new session.
    LOGIN = 2
    # It sends the device commands, settings or updates.
    CONTROL = 3


class DeviceState(Word):
    """A device's lifecycle."""

    # Unset; in a filter: any.
    UNSPECIFIED = 0
    # Enrolled and not confirmed, or to be enrolled again.
    PENDING = 1
    # In use.
    ACTIVE = 2
    # Out of trust until an administrator resumes it.
    SUSPENDED = 3
    # Out of trust after an alarm, until an administrator readmits it.
    QUARANTINED = 4
    # Out of trust for good.
    REVOKED = 5
    # Out of use for good, as planned.
    RETIRED = 6
    # Went over to another tenant, and is trusted there or not.
    TRANSFERRED = 7


class Assurance(Word):
    """What is known of where a device's signing key is kept, the best first."""

    # Unset: the device derives its keys.
    UNSPECIFIED = 0
    # In a TPM, by a certificate of its vendor.
    TPM_VENDOR = 1
    # In a TPM that was listed.
    TPM_LISTED = 2
    # In what claimed to be a TPM at its first use.
    TPM_FIRST_USE = 3
    # In a secure element, by the station's word.
    STATED_SECURE_ELEMENT = 4
    # Behind PKCS#11, by the station's word.
    STATED_PKCS11 = 5
    # In software.
    SOFTWARE = 6


class PcrStanding(Word):
    """By which comparison PCRs were found good."""

    # Unset: no quote was judged.
    UNSPECIFIED = 0
    # They have listed values.
    GOLDEN = 1
    # They are as they were at the device's enrollment.
    AS_ENROLLED = 2
    # They are as an administrator approved them since.
    AS_APPROVED = 3
