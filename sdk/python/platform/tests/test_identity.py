"""The directory of an identity, as it is documented, and as it should not be."""

from pathlib import Path

import pytest
from fake import CA

from wardein import IdentityError
from wardein.identity import Identity, target


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("https://authority.example", "authority.example:7443"),
        ("https://authority.example:8443/", "authority.example:8443"),
        ("https://[::1]:7443", "[::1]:7443"),
    ],
)
def test_an_endpoint_has_a_host_and_perhaps_a_port(endpoint: str, expected: str) -> None:
    assert target(endpoint) == expected


@pytest.mark.parametrize(
    "endpoint",
    ["", "authority", "http://h", "https://", "https://u@h", "https://h/path", "https://h?q", "https://h:0", "https://h:x", "https://["],
)
def test_another_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(IdentityError, match="is not https://HOST"):
        target(endpoint)


def test_what_is_in_the_directory(tmp_path: Path) -> None:
    directory = CA.identity(tmp_path / "identity", 7000)
    identity = Identity.read(directory, None)
    assert identity.target == "127.0.0.1:7000"
    assert "PRIVATE" not in repr(identity)
    assert Identity.read(directory, "https://other.example").target == "other.example:7443"

    key = directory / "operator.key"
    key.chmod(0o640)
    with pytest.raises(IdentityError, match="open to others"):
        Identity.read(directory, None)
    key.chmod(0o600)
    for content, why in (
        (b"-----BEGIN ENCRYPTED PRIVATE KEY-----", "under a passphrase"),
        (b"", "no key in PEM"),
        (b"x" * 70_000, "more than"),
    ):
        key.write_bytes(content)
        with pytest.raises(IdentityError, match=why):
            Identity.read(directory, None)
    CA.identity(directory, 7000)
    for text in ("{}", "[]", "{", '{"endpoint": 7}'):
        (directory / "operator.json").write_text(text)
        with pytest.raises(IdentityError, match="does not say where"):
            Identity.read(directory, None)
    (directory / "infrastructure.pem").write_bytes(b"")
    with pytest.raises(IdentityError, match="no certificate"):
        Identity.read(directory, None)
    (directory / "operator.pem").unlink()
    with pytest.raises(IdentityError, match="cannot read"):
        Identity.read(directory, None)
