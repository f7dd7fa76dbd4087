"""An authority that is served for a test: founded in a folder of its own, stopped, killed and started again."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from wardein_device import Device, Enrolling, Session, identity_key
from wardein_device.grpc import Authority, Station

TENANT = "klinik"


class Served:
    """One with a tenant, a station `line-1`, and a platform `iot` that may verify tokens."""

    def __init__(self, house: Path, domain: str, **limits: int) -> None:
        self.house = house
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as grpc, socket.create_server(("127.0.0.1", 0)) as http:
            ports = [each.getsockname()[1] for each in (grpc, http)]
        self.target = f"127.0.0.1:{ports[0]}"
        places = ("--dir", str(house / "a"), "--key-file", str(house / "root.key"))
        listening = ("--listen", self.target, "--http", f"127.0.0.1:{ports[1]}")
        self.wardein("init", *places, "--trust-domain", domain, *listening)
        configuration = house / "a/wardein.toml"
        text = configuration.read_text()
        for name, value in limits.items():
            text, count = re.subn(f"(?m)^{name} = .*$", f"{name} = {value}", text)
            assert count == 1, name
        configuration.write_text(text)
        self.serve()
        self.wardein("tenant", "create", TENANT)
        self.issue("station", "line-1", "--quota", "100", out="station")
        self.platform = self.issue("platform", "iot", out="platform")
        self.wardein("grant", "add", "iot", "token", "--tenant", TENANT, "--user-name", "edge:{device}")

    def wardein(self, *arguments: str) -> str:
        """The command line, as the administrator."""
        command = [os.environ["WARDEIN_BINARY"], *arguments]
        environment = {**os.environ, "WARDEIN_DIR": str(self.house / "a")}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    def serve(self) -> None:
        """Starts it, and waits until it answers."""
        command = [os.environ["WARDEIN_BINARY"], "serve", "--config", str(self.house / "a/wardein.toml")]
        with open(self.house / "log", "ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for _ in range(100):
            try:
                self.wardein("tenant", "list")
                return
            except AssertionError:
                assert self._process.poll() is None, (self.house / "log").read_text()[-2000:]
                time.sleep(0.1)
        raise AssertionError("the authority does not answer")

    def end(self, by: signal.Signals) -> None:
        """Ends it by that signal."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(by)
            process.wait(30)

    def issue(self, role: str, name: str, *more: str, out: str) -> Path:
        """An identity's directory."""
        directory = self.house / out
        order = ("--role", role, "--tenant", TENANT, "--name", name, "--validity", "1d", "--out", str(directory))
        self.wardein("operator", "issue", *order, *more)
        return directory

    def suspend(self, device_id: str) -> None:
        """Takes a device out of trust."""
        self.wardein("device", "suspend", device_id, "--tenant", TENANT, "--reason", "test", "--yes")

    def resume(self, device_id: str) -> None:
        """Brings it back."""
        self.wardein("device", "resume", device_id, "--tenant", TENANT, "--reason", "test")

    def enrolled(self, device_id: str) -> Device:
        """A device in service. What it must remember is not kept."""
        pinned = identity_key((self.house / "station/identity.pub").read_bytes())
        enrolling = Enrolling.begin(TENANT, device_id, {"firmware": b"3.1.4"}, pinned, 2)
        key, certificate = (self._read(f"station/{file}") for file in ("operator.key", "operator.pem"))
        with Station(self.target, self._read("station/infrastructure.pem"), key, certificate, proxy=False) as station:
            device = enrolling.finish(station.enroll(enrolling.request, model="SDK 1"), lambda state: None)
            confirmation = device.confirmation()
            assert confirmation is not None
            station.confirm(confirmation)
        return device

    def certificate(self, device: Device) -> bytes:
        """One for the device, DER."""
        with Authority(self.target, self._read("station/infrastructure.pem"), proxy=False) as authority:
            session = Session(device, authority, _measure)
            session.authenticate()
            key = ec.generate_private_key(ec.SECP256R1())
            csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
            return session.certificate(csr.public_bytes(serialization.Encoding.DER))[0]

    def description(self, identity: str) -> Mapping[str, object]:
        """What an identity's directory says of it."""
        described: Mapping[str, object] = json.loads((self.house / identity / "operator.json").read_text())
        return described

    def _read(self, name: str) -> bytes:
        return (self.house / name).read_bytes()


def _measure(names: Sequence[str]) -> Mapping[str, bytes]:
    return dict.fromkeys(names, b"3.1.4")
