"""The authority under attack: the real binary, founded for this run alone, with what it takes of the machine."""

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from wire import Target

# What systemd gives a service that asks for nothing.
SOFT_FILES = 1_024


class Authority:
    def __init__(self, binary, house):
        self.binary, self.house = binary, house
        self.directory = house / "a"
        # Two ports that nobody listens on, held together so that they differ.
        held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        grpc, http = (each.getsockname() for each in held)
        for each in held:
            each.close()
        self.target = Target(grpc, http)
        self.run("init", "--dir", self.directory, "--trust-domain", "overload.example", "--key-file", house / "root.key",
                 "--listen", "%s:%d" % grpc, "--http", "%s:%d" % http)  # fmt: skip
        self.process = None
        self.log = None

    def run(self, *arguments):
        """A command of the administrator's; what it printed."""
        environment = os.environ | {"WARDEIN_DIR": str(self.directory)}
        done = subprocess.run([self.binary, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"wardein {arguments[0]} {arguments[1]}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self):
        def limit():
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT_FILES, hard))
            # What a machine that gathers core dumps gives.
            _, hard = resource.getrlimit(resource.RLIMIT_CORE)
            resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

        command = [self.binary, "serve", "--config", self.directory / "wardein.toml"]
        read, write = os.pipe()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=write, stderr=write, preexec_fn=limit)
        os.close(write)
        self.log = Log(read, self.house / "log")
        for _ in range(200):
            with contextlib.suppress(RuntimeError):
                self.run("tenant", "list")
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"the authority does not answer; see {self.house / 'log'}")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.log.resume()
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def is_alive(self):
        return self.process.poll() is None

    def memory(self):
        """Resident bytes; 0 if it is dead."""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1_024
        return 0

    def processor(self):
        """Seconds of processor time that it used."""
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return 0.0

    def tenant(self, name):
        self.run("tenant", "create", name)

    def operator(self, name, role, tenant=None, quota=None, validity="1d"):
        """Issues an identity; returns its directory."""
        out = self.house / name
        further = (["--tenant", tenant] if tenant else []) + (["--quota", quota] if quota is not None else [])
        self.run("operator", "issue", "--role", role, "--name", name, "--validity", validity, "--out", out, *further)
        return out

    def serial(self, name=None, role=None):
        """That of the operator of this name, or of the only one of this role."""
        operators = json.loads(self.run("operator", "list", "--json"))["operators"]
        return next(each["serial"] for each in operators if name in (None, each["name"]) and role in (None, each["role"]))


class Log:
    """Reads what the authority writes, counts it, and can stop reading as a stalled journal does."""

    def __init__(self, end, copy):
        self.bytes = self.lines = self.errors = 0
        self.last_error = ""
        self.reads = threading.Event()
        self.reads.set()
        threading.Thread(target=self._follow, args=(end, copy), daemon=True).start()

    def _follow(self, end, copy):
        with open(end, "rb", buffering=0) as pipe, open(copy, "ab") as file:
            rest = b""
            while True:
                self.reads.wait()
                part = pipe.read(1 << 16)
                if not part:
                    return
                self.bytes += len(part)
                self.lines += part.count(b"\n")
                *lines, rest = (rest + part).split(b"\n")
                bad = [line for line in lines if b"ERROR" in line or b"internal" in line]
                self.errors += len(bad)
                if bad:
                    self.last_error = bad[0].decode(errors="replace")
                # Enough to see what it was.
                if file.tell() < 64 << 20:
                    file.write(part)

    def stall(self):
        self.reads.clear()

    def resume(self):
        self.reads.set()
