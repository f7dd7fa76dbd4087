from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_ADMIN: _ClassVar[Role]
    ROLE_TENANT_ADMIN: _ClassVar[Role]
    ROLE_STATION: _ClassVar[Role]
    ROLE_PLATFORM: _ClassVar[Role]
    ROLE_AUDITOR: _ClassVar[Role]
    ROLE_RELEASE_MANAGER: _ClassVar[Role]
    ROLE_SITE: _ClassVar[Role]
    ROLE_SERVICE_COORDINATOR: _ClassVar[Role]
    ROLE_TECHNICIAN: _ClassVar[Role]
    ROLE_HELPDESK: _ClassVar[Role]
    ROLE_BACKUP: _ClassVar[Role]

class DeviceState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEVICE_STATE_UNSPECIFIED: _ClassVar[DeviceState]
    DEVICE_STATE_PENDING: _ClassVar[DeviceState]
    DEVICE_STATE_ACTIVE: _ClassVar[DeviceState]
    DEVICE_STATE_SUSPENDED: _ClassVar[DeviceState]
    DEVICE_STATE_QUARANTINED: _ClassVar[DeviceState]
    DEVICE_STATE_REVOKED: _ClassVar[DeviceState]
    DEVICE_STATE_RETIRED: _ClassVar[DeviceState]
    DEVICE_STATE_TRANSFERRED: _ClassVar[DeviceState]

class TransferState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRANSFER_STATE_UNSPECIFIED: _ClassVar[TransferState]
    TRANSFER_STATE_OFFERED: _ClassVar[TransferState]
    TRANSFER_STATE_ACCEPTED: _ClassVar[TransferState]
    TRANSFER_STATE_AGREED: _ClassVar[TransferState]
    TRANSFER_STATE_COMPLETE: _ClassVar[TransferState]
    TRANSFER_STATE_WITHDRAWN: _ClassVar[TransferState]

class RekeyGate(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REKEY_GATE_UNSPECIFIED: _ClassVar[RekeyGate]
    REKEY_GATE_FREE: _ClassVar[RekeyGate]
    REKEY_GATE_DUE: _ClassVar[RekeyGate]
    REKEY_GATE_REQUIRED: _ClassVar[RekeyGate]

class Purpose(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PURPOSE_UNSPECIFIED: _ClassVar[Purpose]
    PURPOSE_PROOF: _ClassVar[Purpose]
    PURPOSE_TOKEN: _ClassVar[Purpose]
    PURPOSE_DATA: _ClassVar[Purpose]
    PURPOSE_FILE: _ClassVar[Purpose]
    PURPOSE_SERVICE: _ClassVar[Purpose]

class CertificateProfile(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CERTIFICATE_PROFILE_UNSPECIFIED: _ClassVar[CertificateProfile]
    CERTIFICATE_PROFILE_DEVICE_TLS: _ClassVar[CertificateProfile]
    CERTIFICATE_PROFILE_DICOM_TLS: _ClassVar[CertificateProfile]
    CERTIFICATE_PROFILE_HL7_FHIR_TLS: _ClassVar[CertificateProfile]
    CERTIFICATE_PROFILE_SDC_PROVIDER: _ClassVar[CertificateProfile]
    CERTIFICATE_PROFILE_SDC_CONSUMER: _ClassVar[CertificateProfile]

class KeyKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KEY_KIND_UNSPECIFIED: _ClassVar[KeyKind]
    KEY_KIND_P256: _ClassVar[KeyKind]
    KEY_KIND_P384: _ClassVar[KeyKind]
    KEY_KIND_RSA_2048: _ClassVar[KeyKind]
    KEY_KIND_RSA_3072: _ClassVar[KeyKind]
    KEY_KIND_RSA_4096: _ClassVar[KeyKind]

class Right(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RIGHT_UNSPECIFIED: _ClassVar[Right]
    RIGHT_TOKEN: _ClassVar[Right]
    RIGHT_OPEN: _ClassVar[Right]
    RIGHT_DATA: _ClassVar[Right]
    RIGHT_FILE: _ClassVar[Right]

class Assurance(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ASSURANCE_UNSPECIFIED: _ClassVar[Assurance]
    ASSURANCE_TPM_VENDOR: _ClassVar[Assurance]
    ASSURANCE_TPM_LISTED: _ClassVar[Assurance]
    ASSURANCE_TPM_FIRST_USE: _ClassVar[Assurance]
    ASSURANCE_STATED_SECURE_ELEMENT: _ClassVar[Assurance]
    ASSURANCE_STATED_PKCS11: _ClassVar[Assurance]
    ASSURANCE_SOFTWARE: _ClassVar[Assurance]

class KeyKeeper(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KEY_KEEPER_UNSPECIFIED: _ClassVar[KeyKeeper]
    KEY_KEEPER_SECURE_ELEMENT: _ClassVar[KeyKeeper]
    KEY_KEEPER_PKCS11: _ClassVar[KeyKeeper]
    KEY_KEEPER_SOFTWARE: _ClassVar[KeyKeeper]

class PcrBank(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PCR_BANK_UNSPECIFIED: _ClassVar[PcrBank]
    PCR_BANK_SHA256: _ClassVar[PcrBank]
    PCR_BANK_SHA384: _ClassVar[PcrBank]

class PcrStanding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PCR_STANDING_UNSPECIFIED: _ClassVar[PcrStanding]
    PCR_STANDING_GOLDEN: _ClassVar[PcrStanding]
    PCR_STANDING_AS_ENROLLED: _ClassVar[PcrStanding]
    PCR_STANDING_AS_APPROVED: _ClassVar[PcrStanding]
ROLE_UNSPECIFIED: Role
ROLE_ADMIN: Role
ROLE_TENANT_ADMIN: Role
ROLE_STATION: Role
ROLE_PLATFORM: Role
ROLE_AUDITOR: Role
ROLE_RELEASE_MANAGER: Role
ROLE_SITE: Role
ROLE_SERVICE_COORDINATOR: Role
ROLE_TECHNICIAN: Role
ROLE_HELPDESK: Role
ROLE_BACKUP: Role
DEVICE_STATE_UNSPECIFIED: DeviceState
DEVICE_STATE_PENDING: DeviceState
DEVICE_STATE_ACTIVE: DeviceState
DEVICE_STATE_SUSPENDED: DeviceState
DEVICE_STATE_QUARANTINED: DeviceState
DEVICE_STATE_REVOKED: DeviceState
DEVICE_STATE_RETIRED: DeviceState
DEVICE_STATE_TRANSFERRED: DeviceState
TRANSFER_STATE_UNSPECIFIED: TransferState
TRANSFER_STATE_OFFERED: TransferState
TRANSFER_STATE_ACCEPTED: TransferState
TRANSFER_STATE_AGREED: TransferState
TRANSFER_STATE_COMPLETE: TransferState
TRANSFER_STATE_WITHDRAWN: TransferState
REKEY_GATE_UNSPECIFIED: RekeyGate
REKEY_GATE_FREE: RekeyGate
REKEY_GATE_DUE: RekeyGate
REKEY_GATE_REQUIRED: RekeyGate
PURPOSE_UNSPECIFIED: Purpose
PURPOSE_PROOF: Purpose
PURPOSE_TOKEN: Purpose
PURPOSE_DATA: Purpose
PURPOSE_FILE: Purpose
PURPOSE_SERVICE: Purpose
CERTIFICATE_PROFILE_UNSPECIFIED: CertificateProfile
CERTIFICATE_PROFILE_DEVICE_TLS: CertificateProfile
CERTIFICATE_PROFILE_DICOM_TLS: CertificateProfile
CERTIFICATE_PROFILE_HL7_FHIR_TLS: CertificateProfile
CERTIFICATE_PROFILE_SDC_PROVIDER: CertificateProfile
CERTIFICATE_PROFILE_SDC_CONSUMER: CertificateProfile
KEY_KIND_UNSPECIFIED: KeyKind
KEY_KIND_P256: KeyKind
KEY_KIND_P384: KeyKind
KEY_KIND_RSA_2048: KeyKind
KEY_KIND_RSA_3072: KeyKind
KEY_KIND_RSA_4096: KeyKind
RIGHT_UNSPECIFIED: Right
RIGHT_TOKEN: Right
RIGHT_OPEN: Right
RIGHT_DATA: Right
RIGHT_FILE: Right
ASSURANCE_UNSPECIFIED: Assurance
ASSURANCE_TPM_VENDOR: Assurance
ASSURANCE_TPM_LISTED: Assurance
ASSURANCE_TPM_FIRST_USE: Assurance
ASSURANCE_STATED_SECURE_ELEMENT: Assurance
ASSURANCE_STATED_PKCS11: Assurance
ASSURANCE_SOFTWARE: Assurance
KEY_KEEPER_UNSPECIFIED: KeyKeeper
KEY_KEEPER_SECURE_ELEMENT: KeyKeeper
KEY_KEEPER_PKCS11: KeyKeeper
KEY_KEEPER_SOFTWARE: KeyKeeper
PCR_BANK_UNSPECIFIED: PcrBank
PCR_BANK_SHA256: PcrBank
PCR_BANK_SHA384: PcrBank
PCR_STANDING_UNSPECIFIED: PcrStanding
PCR_STANDING_GOLDEN: PcrStanding
PCR_STANDING_AS_ENROLLED: PcrStanding
PCR_STANDING_AS_APPROVED: PcrStanding
