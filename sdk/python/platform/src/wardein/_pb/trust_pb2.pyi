import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from . import provisioning_pb2 as _provisioning_pb2
from . import words_pb2 as _words_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OfflineUse(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OFFLINE_USE_UNSPECIFIED: _ClassVar[OfflineUse]
    OFFLINE_USE_DATA: _ClassVar[OfflineUse]
    OFFLINE_USE_LOGIN: _ClassVar[OfflineUse]
    OFFLINE_USE_CONTROL: _ClassVar[OfflineUse]

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_TRUSTED: _ClassVar[Verdict]
    VERDICT_RESTRICTED: _ClassVar[Verdict]
    VERDICT_NOT_TRUSTED: _ClassVar[Verdict]
    VERDICT_UNKNOWN: _ClassVar[Verdict]

class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REASON_UNSPECIFIED: _ClassVar[Reason]
    REASON_IN_GOOD_STANDING: _ClassVar[Reason]
    REASON_NO_SUCH_DEVICE: _ClassVar[Reason]
    REASON_PENDING: _ClassVar[Reason]
    REASON_SUSPENDED: _ClassVar[Reason]
    REASON_QUARANTINED: _ClassVar[Reason]
    REASON_REVOKED: _ClassVar[Reason]
    REASON_RETIRED: _ClassVar[Reason]
    REASON_CERTIFICATE_UNKNOWN: _ClassVar[Reason]
    REASON_CERTIFICATE_NOT_YET_VALID: _ClassVar[Reason]
    REASON_CERTIFICATE_EXPIRED: _ClassVar[Reason]
    REASON_CERTIFICATE_REVOKED: _ClassVar[Reason]
    REASON_TRANSFERRED: _ClassVar[Reason]
    REASON_KEY_SHARED: _ClassVar[Reason]
    REASON_ASSURANCE_LOW: _ClassVar[Reason]
    REASON_ATTESTATION_OLD: _ClassVar[Reason]
    REASON_KEYS_OLD: _ClassVar[Reason]
    REASON_SILENT: _ClassVar[Reason]
    REASON_FIRMWARE_OLD: _ClassVar[Reason]
    REASON_FIRMWARE_UNKNOWN: _ClassVar[Reason]
    REASON_FIRMWARE_UNAPPROVED: _ClassVar[Reason]
OFFLINE_USE_UNSPECIFIED: OfflineUse
OFFLINE_USE_DATA: OfflineUse
OFFLINE_USE_LOGIN: OfflineUse
OFFLINE_USE_CONTROL: OfflineUse
VERDICT_UNSPECIFIED: Verdict
VERDICT_TRUSTED: Verdict
VERDICT_RESTRICTED: Verdict
VERDICT_NOT_TRUSTED: Verdict
VERDICT_UNKNOWN: Verdict
REASON_UNSPECIFIED: Reason
REASON_IN_GOOD_STANDING: Reason
REASON_NO_SUCH_DEVICE: Reason
REASON_PENDING: Reason
REASON_SUSPENDED: Reason
REASON_QUARANTINED: Reason
REASON_REVOKED: Reason
REASON_RETIRED: Reason
REASON_CERTIFICATE_UNKNOWN: Reason
REASON_CERTIFICATE_NOT_YET_VALID: Reason
REASON_CERTIFICATE_EXPIRED: Reason
REASON_CERTIFICATE_REVOKED: Reason
REASON_TRANSFERRED: Reason
REASON_KEY_SHARED: Reason
REASON_ASSURANCE_LOW: Reason
REASON_ATTESTATION_OLD: Reason
REASON_KEYS_OLD: Reason
REASON_SILENT: Reason
REASON_FIRMWARE_OLD: Reason
REASON_FIRMWARE_UNKNOWN: Reason
REASON_FIRMWARE_UNAPPROVED: Reason

class CheckRequest(_message.Message):
    __slots__ = ("device_id", "certificate", "spiffe_id", "serial", "fingerprint", "receipt")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    SPIFFE_ID_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    certificate: bytes
    spiffe_id: str
    serial: str
    fingerprint: str
    receipt: ReceiptRequest
    def __init__(self, device_id: _Optional[str] = ..., certificate: _Optional[bytes] = ..., spiffe_id: _Optional[str] = ..., serial: _Optional[str] = ..., fingerprint: _Optional[str] = ..., receipt: _Optional[_Union[ReceiptRequest, _Mapping]] = ...) -> None: ...

class ReceiptRequest(_message.Message):
    __slots__ = ("audience", "nonce")
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    audience: str
    nonce: bytes
    def __init__(self, audience: _Optional[str] = ..., nonce: _Optional[bytes] = ...) -> None: ...

class CheckResponse(_message.Message):
    __slots__ = ("verdict", "reasons", "keep_until", "decided_at", "tenant", "device_id", "state", "assurance", "pcrs", "quoted_at", "is_shared", "revision", "receipt", "valid_until", "offline")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    KEEP_UNTIL_FIELD_NUMBER: _ClassVar[int]
    DECIDED_AT_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ASSURANCE_FIELD_NUMBER: _ClassVar[int]
    PCRS_FIELD_NUMBER: _ClassVar[int]
    QUOTED_AT_FIELD_NUMBER: _ClassVar[int]
    IS_SHARED_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    OFFLINE_FIELD_NUMBER: _ClassVar[int]
    verdict: Verdict
    reasons: _containers.RepeatedScalarFieldContainer[Reason]
    keep_until: _timestamp_pb2.Timestamp
    decided_at: _timestamp_pb2.Timestamp
    tenant: str
    device_id: str
    state: _words_pb2.DeviceState
    assurance: _words_pb2.Assurance
    pcrs: _words_pb2.PcrStanding
    quoted_at: _timestamp_pb2.Timestamp
    is_shared: bool
    revision: int
    receipt: str
    valid_until: _timestamp_pb2.Timestamp
    offline: _containers.RepeatedCompositeFieldContainer[OfflineLimit]
    def __init__(self, verdict: _Optional[_Union[Verdict, str]] = ..., reasons: _Optional[_Iterable[_Union[Reason, str]]] = ..., keep_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., decided_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tenant: _Optional[str] = ..., device_id: _Optional[str] = ..., state: _Optional[_Union[_words_pb2.DeviceState, str]] = ..., assurance: _Optional[_Union[_words_pb2.Assurance, str]] = ..., pcrs: _Optional[_Union[_words_pb2.PcrStanding, str]] = ..., quoted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., is_shared: bool = ..., revision: _Optional[int] = ..., receipt: _Optional[str] = ..., valid_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., offline: _Optional[_Iterable[_Union[OfflineLimit, _Mapping]]] = ...) -> None: ...

class CheckStreamRequest(_message.Message):
    __slots__ = ("device_ids",)
    DEVICE_IDS_FIELD_NUMBER: _ClassVar[int]
    device_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, device_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class CheckStreamResponse(_message.Message):
    __slots__ = ("results", "decided_at", "revision")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    DECIDED_AT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[CheckResult]
    decided_at: _timestamp_pb2.Timestamp
    revision: int
    def __init__(self, results: _Optional[_Iterable[_Union[CheckResult, _Mapping]]] = ..., decided_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class CheckResult(_message.Message):
    __slots__ = ("verdict", "failure")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    verdict: DeviceVerdict
    failure: _provisioning_pb2.Failure
    def __init__(self, verdict: _Optional[_Union[DeviceVerdict, _Mapping]] = ..., failure: _Optional[_Union[_provisioning_pb2.Failure, _Mapping]] = ...) -> None: ...

class DeviceVerdict(_message.Message):
    __slots__ = ("device_id", "verdict", "reasons", "lifetime", "state", "assurance", "is_shared", "valid_until", "offline")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ASSURANCE_FIELD_NUMBER: _ClassVar[int]
    IS_SHARED_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    OFFLINE_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    verdict: Verdict
    reasons: _containers.RepeatedScalarFieldContainer[Reason]
    lifetime: _duration_pb2.Duration
    state: _words_pb2.DeviceState
    assurance: _words_pb2.Assurance
    is_shared: bool
    valid_until: _timestamp_pb2.Timestamp
    offline: _containers.RepeatedCompositeFieldContainer[OfflineLimit]
    def __init__(self, device_id: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., reasons: _Optional[_Iterable[_Union[Reason, str]]] = ..., lifetime: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., state: _Optional[_Union[_words_pb2.DeviceState, str]] = ..., assurance: _Optional[_Union[_words_pb2.Assurance, str]] = ..., is_shared: bool = ..., valid_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., offline: _Optional[_Iterable[_Union[OfflineLimit, _Mapping]]] = ...) -> None: ...

class OfflineLimit(_message.Message):
    __slots__ = ("use", "time")
    USE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    use: OfflineUse
    time: _duration_pb2.Duration
    def __init__(self, use: _Optional[_Union[OfflineUse, str]] = ..., time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("snapshot", "revision")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    snapshot: FromSnapshot
    revision: bytes
    def __init__(self, snapshot: _Optional[_Union[FromSnapshot, _Mapping]] = ..., revision: _Optional[bytes] = ...) -> None: ...

class FromSnapshot(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("snapshot", "snapshot_end", "change", "bookmark")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_END_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    BOOKMARK_FIELD_NUMBER: _ClassVar[int]
    snapshot: Snapshot
    snapshot_end: SnapshotEnd
    change: Change
    bookmark: Bookmark
    def __init__(self, snapshot: _Optional[_Union[Snapshot, _Mapping]] = ..., snapshot_end: _Optional[_Union[SnapshotEnd, _Mapping]] = ..., change: _Optional[_Union[Change, _Mapping]] = ..., bookmark: _Optional[_Union[Bookmark, _Mapping]] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("devices",)
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    devices: _containers.RepeatedCompositeFieldContainer[DeviceVerdict]
    def __init__(self, devices: _Optional[_Iterable[_Union[DeviceVerdict, _Mapping]]] = ...) -> None: ...

class SnapshotEnd(_message.Message):
    __slots__ = ("revision", "devices")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    revision: bytes
    devices: int
    def __init__(self, revision: _Optional[bytes] = ..., devices: _Optional[int] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("revision", "previous", "devices")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    revision: bytes
    previous: bytes
    devices: _containers.RepeatedCompositeFieldContainer[DeviceVerdict]
    def __init__(self, revision: _Optional[bytes] = ..., previous: _Optional[bytes] = ..., devices: _Optional[_Iterable[_Union[DeviceVerdict, _Mapping]]] = ...) -> None: ...

class Bookmark(_message.Message):
    __slots__ = ("revision", "time", "elapsed")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_FIELD_NUMBER: _ClassVar[int]
    revision: bytes
    time: _timestamp_pb2.Timestamp
    elapsed: _duration_pb2.Duration
    def __init__(self, revision: _Optional[bytes] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., elapsed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ListSubjectsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "state", "profile", "model")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: bytes
    state: _words_pb2.DeviceState
    profile: str
    model: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[bytes] = ..., state: _Optional[_Union[_words_pb2.DeviceState, str]] = ..., profile: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

class ListSubjectsResponse(_message.Message):
    __slots__ = ("subjects", "next_page_token")
    SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    subjects: _containers.RepeatedCompositeFieldContainer[Subject]
    next_page_token: bytes
    def __init__(self, subjects: _Optional[_Iterable[_Union[Subject, _Mapping]]] = ..., next_page_token: _Optional[bytes] = ...) -> None: ...

class Subject(_message.Message):
    __slots__ = ("device_id", "state", "profile", "model", "udi", "enrolled_at")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    UDI_FIELD_NUMBER: _ClassVar[int]
    ENROLLED_AT_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    state: _words_pb2.DeviceState
    profile: str
    model: str
    udi: str
    enrolled_at: _timestamp_pb2.Timestamp
    def __init__(self, device_id: _Optional[str] = ..., state: _Optional[_Union[_words_pb2.DeviceState, str]] = ..., profile: _Optional[str] = ..., model: _Optional[str] = ..., udi: _Optional[str] = ..., enrolled_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class VerifyTokenRequest(_message.Message):
    __slots__ = ("token", "platform_nonce", "idempotency_key")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_NONCE_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    token: bytes
    platform_nonce: bytes
    idempotency_key: bytes
    def __init__(self, token: _Optional[bytes] = ..., platform_nonce: _Optional[bytes] = ..., idempotency_key: _Optional[bytes] = ...) -> None: ...

class VerifyTokenResponse(_message.Message):
    __slots__ = ("trust", "user_name", "issued_at", "organization", "groups")
    TRUST_FIELD_NUMBER: _ClassVar[int]
    USER_NAME_FIELD_NUMBER: _ClassVar[int]
    ISSUED_AT_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    trust: CheckResponse
    user_name: str
    issued_at: _timestamp_pb2.Timestamp
    organization: str
    groups: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, trust: _Optional[_Union[CheckResponse, _Mapping]] = ..., user_name: _Optional[str] = ..., issued_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., organization: _Optional[str] = ..., groups: _Optional[_Iterable[str]] = ...) -> None: ...

class ReleaseKeyRequest(_message.Message):
    __slots__ = ("key_name", "file", "reason", "idempotency_key")
    KEY_NAME_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    key_name: str
    file: FileStanza
    reason: str
    idempotency_key: bytes
    def __init__(self, key_name: _Optional[str] = ..., file: _Optional[_Union[FileStanza, _Mapping]] = ..., reason: _Optional[str] = ..., idempotency_key: _Optional[bytes] = ...) -> None: ...

class FileStanza(_message.Message):
    __slots__ = ("arguments", "body")
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    arguments: str
    body: bytes
    def __init__(self, arguments: _Optional[str] = ..., body: _Optional[bytes] = ...) -> None: ...

class ReleaseKeyResponse(_message.Message):
    __slots__ = ("sealed_by", "key")
    SEALED_BY_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    sealed_by: SealedBy
    key: bytes
    def __init__(self, sealed_by: _Optional[_Union[SealedBy, _Mapping]] = ..., key: _Optional[bytes] = ...) -> None: ...

class ReleaseFileKeysRequest(_message.Message):
    __slots__ = ("files", "reason", "idempotency_key")
    FILES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[FileStanza]
    reason: str
    idempotency_key: bytes
    def __init__(self, files: _Optional[_Iterable[_Union[FileStanza, _Mapping]]] = ..., reason: _Optional[str] = ..., idempotency_key: _Optional[bytes] = ...) -> None: ...

class FileKeyResult(_message.Message):
    __slots__ = ("released", "failure")
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    released: SealedBy
    failure: _provisioning_pb2.Failure
    def __init__(self, released: _Optional[_Union[SealedBy, _Mapping]] = ..., failure: _Optional[_Union[_provisioning_pb2.Failure, _Mapping]] = ...) -> None: ...

class ReleaseFileKeysResponse(_message.Message):
    __slots__ = ("results", "digest", "keys")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[FileKeyResult]
    digest: bytes
    keys: bytes
    def __init__(self, results: _Optional[_Iterable[_Union[FileKeyResult, _Mapping]]] = ..., digest: _Optional[bytes] = ..., keys: _Optional[bytes] = ...) -> None: ...

class OpenRequest(_message.Message):
    __slots__ = ("sealed", "additional_data", "reason", "idempotency_key")
    SEALED_FIELD_NUMBER: _ClassVar[int]
    ADDITIONAL_DATA_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    sealed: bytes
    additional_data: bytes
    reason: str
    idempotency_key: bytes
    def __init__(self, sealed: _Optional[bytes] = ..., additional_data: _Optional[bytes] = ..., reason: _Optional[str] = ..., idempotency_key: _Optional[bytes] = ...) -> None: ...

class OpenResponse(_message.Message):
    __slots__ = ("sealed_by", "plaintext")
    SEALED_BY_FIELD_NUMBER: _ClassVar[int]
    PLAINTEXT_FIELD_NUMBER: _ClassVar[int]
    sealed_by: SealedBy
    plaintext: bytes
    def __init__(self, sealed_by: _Optional[_Union[SealedBy, _Mapping]] = ..., plaintext: _Optional[bytes] = ...) -> None: ...

class SealedBy(_message.Message):
    __slots__ = ("tenant", "device_id", "state", "key_name")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    KEY_NAME_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    device_id: str
    state: _words_pb2.DeviceState
    key_name: str
    def __init__(self, tenant: _Optional[str] = ..., device_id: _Optional[str] = ..., state: _Optional[_Union[_words_pb2.DeviceState, str]] = ..., key_name: _Optional[str] = ...) -> None: ...
