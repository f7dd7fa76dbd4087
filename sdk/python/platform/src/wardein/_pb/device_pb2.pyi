from . import words_pb2 as _words_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetChallengeRequest(_message.Message):
    __slots__ = ("tenant", "device_id")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    device_id: str
    def __init__(self, tenant: _Optional[str] = ..., device_id: _Optional[str] = ...) -> None: ...

class GetChallengeResponse(_message.Message):
    __slots__ = ("challenge", "server_time_seconds", "recipe", "quote")
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    RECIPE_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    challenge: bytes
    server_time_seconds: int
    recipe: _containers.RepeatedScalarFieldContainer[str]
    quote: PcrSelection
    def __init__(self, challenge: _Optional[bytes] = ..., server_time_seconds: _Optional[int] = ..., recipe: _Optional[_Iterable[str]] = ..., quote: _Optional[_Union[PcrSelection, _Mapping]] = ...) -> None: ...

class PcrSelection(_message.Message):
    __slots__ = ("bank", "registers")
    BANK_FIELD_NUMBER: _ClassVar[int]
    REGISTERS_FIELD_NUMBER: _ClassVar[int]
    bank: _words_pb2.PcrBank
    registers: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, bank: _Optional[_Union[_words_pb2.PcrBank, str]] = ..., registers: _Optional[_Iterable[int]] = ...) -> None: ...

class Quote(_message.Message):
    __slots__ = ("attested", "signature", "values")
    ATTESTED_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    attested: bytes
    signature: bytes
    values: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, attested: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., values: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ProveRequest(_message.Message):
    __slots__ = ("tenant", "device_id", "challenge", "device_nonce", "generation", "epoch", "number", "action", "body", "mac")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_NONCE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    device_id: str
    challenge: bytes
    device_nonce: bytes
    generation: int
    epoch: int
    number: int
    action: str
    body: bytes
    mac: bytes
    def __init__(self, tenant: _Optional[str] = ..., device_id: _Optional[str] = ..., challenge: _Optional[bytes] = ..., device_nonce: _Optional[bytes] = ..., generation: _Optional[int] = ..., epoch: _Optional[int] = ..., number: _Optional[int] = ..., action: _Optional[str] = ..., body: _Optional[bytes] = ..., mac: _Optional[bytes] = ...) -> None: ...

class ProveResponse(_message.Message):
    __slots__ = ("server_time_seconds", "body", "ack", "rekey_due", "transfer_due", "renewal")
    SERVER_TIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    REKEY_DUE_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_DUE_FIELD_NUMBER: _ClassVar[int]
    RENEWAL_FIELD_NUMBER: _ClassVar[int]
    server_time_seconds: int
    body: bytes
    ack: bytes
    rekey_due: bool
    transfer_due: bool
    renewal: RenewalWindow
    def __init__(self, server_time_seconds: _Optional[int] = ..., body: _Optional[bytes] = ..., ack: _Optional[bytes] = ..., rekey_due: bool = ..., transfer_due: bool = ..., renewal: _Optional[_Union[RenewalWindow, _Mapping]] = ...) -> None: ...

class RenewalWindow(_message.Message):
    __slots__ = ("start_seconds", "end_seconds")
    START_SECONDS_FIELD_NUMBER: _ClassVar[int]
    END_SECONDS_FIELD_NUMBER: _ClassVar[int]
    start_seconds: int
    end_seconds: int
    def __init__(self, start_seconds: _Optional[int] = ..., end_seconds: _Optional[int] = ...) -> None: ...

class ProveBySignatureRequest(_message.Message):
    __slots__ = ("tenant", "device_id", "challenge", "device_nonce", "action", "body", "signature", "quote")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_NONCE_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    device_id: str
    challenge: bytes
    device_nonce: bytes
    action: str
    body: bytes
    signature: bytes
    quote: Quote
    def __init__(self, tenant: _Optional[str] = ..., device_id: _Optional[str] = ..., challenge: _Optional[bytes] = ..., device_nonce: _Optional[bytes] = ..., action: _Optional[str] = ..., body: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., quote: _Optional[_Union[Quote, _Mapping]] = ...) -> None: ...

class ProveBySignatureResponse(_message.Message):
    __slots__ = ("server_time_seconds", "body", "signature", "renewal")
    SERVER_TIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    RENEWAL_FIELD_NUMBER: _ClassVar[int]
    server_time_seconds: int
    body: bytes
    signature: bytes
    renewal: RenewalWindow
    def __init__(self, server_time_seconds: _Optional[int] = ..., body: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., renewal: _Optional[_Union[RenewalWindow, _Mapping]] = ...) -> None: ...

class ConfirmEnrollmentRequest(_message.Message):
    __slots__ = ("tenant", "device_id", "device_confirmation")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_CONFIRMATION_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    device_id: str
    device_confirmation: bytes
    def __init__(self, tenant: _Optional[str] = ..., device_id: _Optional[str] = ..., device_confirmation: _Optional[bytes] = ...) -> None: ...

class ConfirmEnrollmentResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
