import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from . import device_pb2 as _device_pb2
from . import words_pb2 as _words_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MakeVoucherRequest(_message.Message):
    __slots__ = ("tenant", "device_id", "profile", "model", "udi", "lifetime")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    UDI_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    device_id: str
    profile: str
    model: str
    udi: str
    lifetime: _duration_pb2.Duration
    def __init__(self, tenant: _Optional[str] = ..., device_id: _Optional[str] = ..., profile: _Optional[str] = ..., model: _Optional[str] = ..., udi: _Optional[str] = ..., lifetime: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class MakeVoucherResponse(_message.Message):
    __slots__ = ("tenant", "secret", "expires_at")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    secret: bytes
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, tenant: _Optional[str] = ..., secret: _Optional[bytes] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetStationRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStationResponse(_message.Message):
    __slots__ = ("quota", "used", "not_after")
    QUOTA_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_FIELD_NUMBER: _ClassVar[int]
    quota: int
    used: int
    not_after: _timestamp_pb2.Timestamp
    def __init__(self, quota: _Optional[int] = ..., used: _Optional[int] = ..., not_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetEnrollmentRequest(_message.Message):
    __slots__ = ("device_id",)
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    def __init__(self, device_id: _Optional[str] = ...) -> None: ...

class GetEnrollmentResponse(_message.Message):
    __slots__ = ("state", "generation", "profile", "enrolled_at", "last_seen")
    STATE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    ENROLLED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    state: _words_pb2.DeviceState
    generation: int
    profile: str
    enrolled_at: _timestamp_pb2.Timestamp
    last_seen: _timestamp_pb2.Timestamp
    def __init__(self, state: _Optional[_Union[_words_pb2.DeviceState, str]] = ..., generation: _Optional[int] = ..., profile: _Optional[str] = ..., enrolled_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_seen: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class EnrollRequest(_message.Message):
    __slots__ = ("device_id", "suite", "device_nonce", "device_share", "attributes", "profile", "model", "udi")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SUITE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_NONCE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_SHARE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    UDI_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    suite: int
    device_nonce: bytes
    device_share: bytes
    attributes: _containers.RepeatedCompositeFieldContainer[Attribute]
    profile: str
    model: str
    udi: str
    def __init__(self, device_id: _Optional[str] = ..., suite: _Optional[int] = ..., device_nonce: _Optional[bytes] = ..., device_share: _Optional[bytes] = ..., attributes: _Optional[_Iterable[_Union[Attribute, _Mapping]]] = ..., profile: _Optional[str] = ..., model: _Optional[str] = ..., udi: _Optional[str] = ...) -> None: ...

class Attribute(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: bytes
    def __init__(self, name: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...

class EnrollResponse(_message.Message):
    __slots__ = ("authority_share", "generation", "schedule", "signature", "authority_confirmation", "tenant")
    AUTHORITY_SHARE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    AUTHORITY_CONFIRMATION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    authority_share: bytes
    generation: int
    schedule: Schedule
    signature: bytes
    authority_confirmation: bytes
    tenant: str
    def __init__(self, authority_share: _Optional[bytes] = ..., generation: _Optional[int] = ..., schedule: _Optional[_Union[Schedule, _Mapping]] = ..., signature: _Optional[bytes] = ..., authority_confirmation: _Optional[bytes] = ..., tenant: _Optional[str] = ...) -> None: ...

class Schedule(_message.Message):
    __slots__ = ("period_seconds", "max_uses", "not_before_seconds")
    PERIOD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MAX_USES_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    period_seconds: int
    max_uses: int
    not_before_seconds: int
    def __init__(self, period_seconds: _Optional[int] = ..., max_uses: _Optional[int] = ..., not_before_seconds: _Optional[int] = ...) -> None: ...

class ConfirmRequest(_message.Message):
    __slots__ = ("device_id", "device_confirmation")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_CONFIRMATION_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    device_confirmation: bytes
    def __init__(self, device_id: _Optional[str] = ..., device_confirmation: _Optional[bytes] = ...) -> None: ...

class ConfirmResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EnrollStreamRequest(_message.Message):
    __slots__ = ("correlation", "enroll", "confirm")
    CORRELATION_FIELD_NUMBER: _ClassVar[int]
    ENROLL_FIELD_NUMBER: _ClassVar[int]
    CONFIRM_FIELD_NUMBER: _ClassVar[int]
    correlation: int
    enroll: EnrollRequest
    confirm: ConfirmRequest
    def __init__(self, correlation: _Optional[int] = ..., enroll: _Optional[_Union[EnrollRequest, _Mapping]] = ..., confirm: _Optional[_Union[ConfirmRequest, _Mapping]] = ...) -> None: ...

class EnrollStreamResponse(_message.Message):
    __slots__ = ("correlation", "enrolled", "confirmed", "failure")
    CORRELATION_FIELD_NUMBER: _ClassVar[int]
    ENROLLED_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    correlation: int
    enrolled: EnrollResponse
    confirmed: ConfirmResponse
    failure: Failure
    def __init__(self, correlation: _Optional[int] = ..., enrolled: _Optional[_Union[EnrollResponse, _Mapping]] = ..., confirmed: _Optional[_Union[ConfirmResponse, _Mapping]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("status", "code", "message")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    status: int
    code: str
    message: str
    def __init__(self, status: _Optional[int] = ..., code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class BeginTpmEnrollmentRequest(_message.Message):
    __slots__ = ("device_id", "profile", "model", "udi", "ek_public", "ek_certificates", "ak_public")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    UDI_FIELD_NUMBER: _ClassVar[int]
    EK_PUBLIC_FIELD_NUMBER: _ClassVar[int]
    EK_CERTIFICATES_FIELD_NUMBER: _ClassVar[int]
    AK_PUBLIC_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    profile: str
    model: str
    udi: str
    ek_public: bytes
    ek_certificates: _containers.RepeatedScalarFieldContainer[bytes]
    ak_public: bytes
    def __init__(self, device_id: _Optional[str] = ..., profile: _Optional[str] = ..., model: _Optional[str] = ..., udi: _Optional[str] = ..., ek_public: _Optional[bytes] = ..., ek_certificates: _Optional[_Iterable[bytes]] = ..., ak_public: _Optional[bytes] = ...) -> None: ...

class BeginTpmEnrollmentResponse(_message.Message):
    __slots__ = ("ticket", "id_object", "encrypted_secret", "nonce", "expires_at", "quote")
    TICKET_FIELD_NUMBER: _ClassVar[int]
    ID_OBJECT_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTED_SECRET_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    ticket: bytes
    id_object: bytes
    encrypted_secret: bytes
    nonce: bytes
    expires_at: _timestamp_pb2.Timestamp
    quote: _device_pb2.PcrSelection
    def __init__(self, ticket: _Optional[bytes] = ..., id_object: _Optional[bytes] = ..., encrypted_secret: _Optional[bytes] = ..., nonce: _Optional[bytes] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., quote: _Optional[_Union[_device_pb2.PcrSelection, _Mapping]] = ...) -> None: ...

class FinishTpmEnrollmentRequest(_message.Message):
    __slots__ = ("device_id", "ticket", "secret", "device_key", "attested", "signature", "quote")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    DEVICE_KEY_FIELD_NUMBER: _ClassVar[int]
    ATTESTED_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    ticket: bytes
    secret: bytes
    device_key: bytes
    attested: bytes
    signature: bytes
    quote: _device_pb2.Quote
    def __init__(self, device_id: _Optional[str] = ..., ticket: _Optional[bytes] = ..., secret: _Optional[bytes] = ..., device_key: _Optional[bytes] = ..., attested: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., quote: _Optional[_Union[_device_pb2.Quote, _Mapping]] = ...) -> None: ...

class EnrollKeyRequest(_message.Message):
    __slots__ = ("device_id", "profile", "model", "udi", "keeper", "csr")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    UDI_FIELD_NUMBER: _ClassVar[int]
    KEEPER_FIELD_NUMBER: _ClassVar[int]
    CSR_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    profile: str
    model: str
    udi: str
    keeper: _words_pb2.KeyKeeper
    csr: bytes
    def __init__(self, device_id: _Optional[str] = ..., profile: _Optional[str] = ..., model: _Optional[str] = ..., udi: _Optional[str] = ..., keeper: _Optional[_Union[_words_pb2.KeyKeeper, str]] = ..., csr: _Optional[bytes] = ...) -> None: ...

class FinishTpmEnrollmentResponse(_message.Message):
    __slots__ = ("tenant", "key_id", "assurance")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    ASSURANCE_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    key_id: bytes
    assurance: _words_pb2.Assurance
    def __init__(self, tenant: _Optional[str] = ..., key_id: _Optional[bytes] = ..., assurance: _Optional[_Union[_words_pb2.Assurance, str]] = ...) -> None: ...

class EnrollKeyResponse(_message.Message):
    __slots__ = ("tenant", "key_id", "assurance")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    ASSURANCE_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    key_id: bytes
    assurance: _words_pb2.Assurance
    def __init__(self, tenant: _Optional[str] = ..., key_id: _Optional[bytes] = ..., assurance: _Optional[_Union[_words_pb2.Assurance, str]] = ...) -> None: ...
