"""The probe's process, and what its callers met in a span of time."""

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

# Whose calls must be answered whatever a flood does: operators on a connection and on a new one, an orchestrator, and devices
# from an address that takes no part.
KINDS = ("check", "connect", "healthz", "challenge")


@dataclass
class Met:
    """Milliseconds that operators waited, and what the callers of each kind were refused with."""

    calls: int
    p50: float
    p99: float
    worst: float
    errors: dict[str, Counter]

    def first_error(self):
        for kind, errors in self.errors.items():
            for code, count in errors.most_common(1):
                return f"{kind}: {count} times {code}"
        return None


class Beside:
    def __init__(self, platform, http):
        command = [sys.executable, Path(__file__).with_name("probe.py"), "--platform", platform, "--http", "%s:%d" % http]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.samples, self.lock = [], threading.Lock()
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self):
        for line in self.process.stdout:
            sample = json.loads(line)
            with self.lock:
                self.samples.append(sample)

    def between(self, begin, end):
        """Of the calls that began in that time and came to an end."""
        with self.lock:
            samples = [each for each in self.samples if begin <= each["at"] < end]
        waits = sorted(each["ms"] for each in samples if each["kind"] == "check")
        errors = {
            kind: Counter(each["code"] for each in samples if each["kind"] == kind and each["code"] != "ok") for kind in KINDS
        }
        at = lambda part: waits[min(len(waits) - 1, int(len(waits) * part))] if waits else float("inf")  # noqa: E731
        return Met(len(samples), at(0.5), at(0.99), at(1), {kind: codes for kind, codes in errors.items() if codes})

    def answered_since(self, begin):
        """The kinds that had an answer to a call that began since then, and met no error after it."""
        with self.lock:
            last = {each["kind"]: each["code"] for each in self.samples if each["at"] >= begin}
        return {kind for kind, code in last.items() if code == "ok"}

    def wait_for_calls(self, patience=20):
        """Until every kind of caller was answered once."""
        begun = time.monotonic()
        while time.monotonic() - begun < patience:
            if self.answered_since(begun) == set(KINDS):
                return
            time.sleep(0.05)
        raise RuntimeError(f"the callers beside are not answered: {self.between(begun, time.monotonic()).errors}")

    def stop(self):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
