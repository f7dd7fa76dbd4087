"""SPEC sections 1 and 11: which texts there are, and their bounds."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from .errors import Malformed
from .keys import MAX_NUMBER
from .primitives import MAX_U64
from .tree import LAST_EPOCH

# `\Z`, for `$` takes a line break at the end as well.
_TENANT: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_DEVICE_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")
_WORD: Final = re.compile(r"[a-z0-9-]{1,32}\Z")
_ATTRIBUTE: Final = re.compile(r"[!-~]{1,64}\Z")
_NUMBER: Final = r"(0|[1-9][0-9]{0,19})"
_KEY_NAME: Final = re.compile(rf"ddkg1:([^/]+)/([^/]+)/{_NUMBER}\.([a-z0-9-]+)\.{_NUMBER}\.{_NUMBER}\Z")


def tenant(text: str) -> str:
    return _matching(_TENANT, "tenant", text)


def device_id(text: str) -> str:
    return _matching(_DEVICE_ID, "device id", text)


def action(text: str) -> str:
    return _matching(_WORD, "action", text)


def attribute_name(text: str) -> str:
    return _matching(_ATTRIBUTE, "attribute name", text)


def audience(text: str) -> str:
    if not 1 <= len(text.encode()) <= 255:
        raise Malformed("audience", "has not 1 to 255 bytes")
    # Control, format, and line-breaking ones: in a log they would pass for other text.
    if any(unicodedata.category(each) in ("Cc", "Cf", "Zl", "Zp") for each in text):
        raise Malformed("audience", "has a character that cannot be seen")
    return text


def _matching(pattern: re.Pattern[str], field: str, text: str) -> str:
    if not pattern.match(text):
        raise Malformed(field, "is empty, too long, or has a character that it must not have")
    return text


@dataclass(frozen=True, slots=True)
class KeyName:
    """The name of a key (section 3); its text is canonical."""

    tenant: str
    device_id: str
    generation: int
    purpose: str
    epoch: int
    number: int

    def __str__(self) -> str:
        return f"ddkg1:{self.tenant}/{self.device_id}/{self.generation}.{self.purpose}.{self.epoch}.{self.number}"

    @classmethod
    def parse(cls, text: str) -> "KeyName":
        match = _KEY_NAME.match(text)
        if match is None:
            raise Malformed("key name", "is not of the form ddkg1:tenant/device/g.purpose.e.n")
        generation, epoch, number = int(match[3]), int(match[5]), int(match[6])
        if not 1 <= generation <= MAX_U64 or epoch > LAST_EPOCH or number > MAX_NUMBER:
            raise Malformed("key name", "has a number out of bounds")
        purpose = _matching(_WORD, "purpose", match[4])
        return cls(tenant(match[1]), device_id(match[2]), generation, purpose, epoch, number)
