"""Reads ddkg-1.vectors.json, and knows which of its values nobody has looked at."""

import json
import os
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]
# The variable is that of the Rust tests.
FILE = Path(os.environ.get("WARDEIN_DDKG_VECTORS", REPOSITORY / "crates/ddkg/vectors/ddkg-1.vectors.json"))
ALL: dict[str, Any] = json.loads(FILE.read_text())
SPEC = (REPOSITORY / "crates/ddkg/SPEC.md").read_text()
SPEC_SECTION_10 = SPEC.split("\n## 10. ")[1].split("\n## 11. ")[0]


class Case:
    """An object of the file."""

    def __init__(self, fields: dict[str, Any], path: str = "") -> None:
        self._fields, self._path = fields, path
        self._unread = set(fields)
        self._inner: list[Case] = []

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def value(self, name: str) -> Any:
        self._unread.discard(name)
        return self._fields[name]

    def hex(self, name: str) -> bytes:
        return bytes.fromhex(self.value(name))

    def number(self, name: str) -> int:
        value = self.value(name)
        assert type(value) is int
        return value

    def text(self, name: str) -> str:
        value = self.value(name)
        assert type(value) is str
        return value

    def case(self, name: str) -> "Case":
        return self._keep(Case(self.value(name), f"{self._path}.{name}"))

    def cases(self, name: str) -> list["Case"]:
        found = self.value(name)
        assert found, f"{self._path}.{name} has nothing"
        return [self._keep(Case(each, f"{self._path}.{name}.{at}")) for at, each in enumerate(found)]

    def of_the_authority(self, *names: str) -> None:
        """What a device has nothing to compare with."""
        for name in names:
            self.value(name)

    def texts(self, name: str) -> dict[str, str]:
        return dict(self.value(name))

    def _keep(self, case: "Case") -> "Case":
        self._inner.append(case)
        return case

    def unread(self) -> list[str]:
        return [f"{self._path}.{name}" for name in sorted(self._unread)] + [
            name for case in self._inner for name in case.unread()
        ]


TENANT: str = ALL["tenant"]
DEVICE: str = ALL["device_id"]
ATTRIBUTES = {name: value.encode() for name, value in ALL["attributes"]["values"].items()}
