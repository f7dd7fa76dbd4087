"""The directory of an identity, as `wardein operator issue` makes it (deploy/OPERATORS.md, "The files of an identity")."""

import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from .errors import IdentityError

# The operator's certificate, then its CA's.
CERTIFICATE: Final = "operator.pem"
# Its key: PKCS#8 in PEM.
KEY: Final = "operator.key"
# Root and infrastructure CA, which the authority's server is verified with.
INFRASTRUCTURE: Final = "infrastructure.pem"
# Where the authority answers.
DESCRIPTION: Final = "operator.json"
DEFAULT_PORT: Final = 7443
# Many times what each has.
_MOST: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Identity:
    """What an identity's directory holds."""

    # host:port
    target: str
    certificates: bytes
    key: bytes = field(repr=False)
    roots: bytes

    @classmethod
    def read(cls, directory: Path, endpoint: str | None) -> "Identity":
        """Of `directory`; `endpoint` takes the place of the one that it names."""
        certificates = _read(directory / CERTIFICATE)
        key = _read(directory / KEY, is_secret=True)
        roots = _read(directory / INFRASTRUCTURE)
        for name, content in ((CERTIFICATE, certificates), (INFRASTRUCTURE, roots)):
            if b"-----BEGIN CERTIFICATE-----" not in content:
                raise IdentityError(f"{directory / name} has no certificate in PEM")
        if b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in key:
            raise IdentityError(
                f"the key in {directory / KEY} is under a passphrase: keep it without one (openssl pkcs8 -topk8 -nocrypt)"
            )
        if b"PRIVATE KEY-----" not in key:
            raise IdentityError(f"{directory / KEY} has no key in PEM")
        return cls(target(endpoint or _endpoint(directory / DESCRIPTION)), certificates, key, roots)


def target(endpoint: str) -> str:
    """From https://HOST or https://HOST:PORT to HOST:PORT."""
    wrong = IdentityError(f"endpoint {endpoint!r} is not https://HOST or https://HOST:PORT")
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    is_plain = parts.scheme == "https" and parts.path in ("", "/") and not (parts.query or parts.fragment or "@" in parts.netloc)
    if not host or not is_plain or port == 0:
        raise wrong
    return f"{f'[{host}]' if ':' in host else host}:{port or DEFAULT_PORT}"


def _endpoint(path: Path) -> str:
    try:
        endpoint = json.loads(_read(path)).get("endpoint")
    except (ValueError, AttributeError):
        endpoint = None
    if not isinstance(endpoint, str):
        raise IdentityError(f"{path} does not say where the authority answers; name its endpoint")
    return endpoint


def _read(path: Path, *, is_secret: bool = False) -> bytes:
    try:
        with open(path, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(_MOST + 1)
    except OSError as error:
        raise IdentityError(f"cannot read {path}: {error.strerror}") from None
    # Windows has no such modes.
    if is_secret and os.name == "posix" and mode & 0o077:
        raise IdentityError(f"{path} is open to others (mode {mode:o}); run: chmod 600 {path}")
    if len(content) > _MOST:
        raise IdentityError(f"{path} has more than {_MOST} bytes")
    return content
