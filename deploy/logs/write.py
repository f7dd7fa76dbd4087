"""Writes the logs of pumps as their programs would, and rotates them: write.py HOME PUMPS LINES-A-SECOND.

Each line has the pump's stream and a number, in order, and a marker that stands for a patient. With SIGUSR1, one pump of
each kind writes BURST lines more. It goes on until SIGTERM; then HOME/written.json says how many lines each stream has.
"""

import hashlib
import json
import os
import shutil
import signal
import sys
import time

KINDS = ["rename", "copy", "date", "directory"]


# Enough for a spool of the least size.
BURST = 12_000


def line(stream, number):
    # Something that does not compress to nothing.
    noise = hashlib.sha256(f"{stream} {number}".encode()).hexdigest()
    return f"2026-11-30T12:00:00Z ERROR E{stream}-{number} patient=Erika-Mustermann-{number} {noise}\n"


class Pump:
    """One log, and the kind of its rotation."""

    def __init__(self, home, number):
        self.kind = KINDS[number % len(KINDS)]
        self.place = os.path.join(home, f"pump-{number:02}")
        self.path = os.path.join(self.place, "app.log")
        self.stream, self.written, self.rotations, self.streams = f"p{number:02}", 0, 0, {}
        os.makedirs(self.place, exist_ok=True)
        if self.kind == "directory":
            self.another()
        self.file = open(self.path, "a")

    def another(self):
        self.stream = f"p{self.place[-2:]}f{self.rotations}"
        self.path = os.path.join(self.place, f"service-{self.rotations:04}.log")
        self.written = 0

    def write(self, count):
        for _ in range(count):
            self.file.write(line(self.stream, self.written))
            self.written += 1
        self.file.flush()
        self.streams[self.stream] = self.written

    def rotate(self):
        """As logrotate does it: what was rotated before keeps its contents, three files at most."""
        self.rotations += 1
        if self.kind == "copy":
            self.shift()
            shutil.copy(self.path, f"{self.path}.1")
            self.file.truncate(0)
            return
        self.file.close()
        if self.kind == "rename":
            self.shift()
            os.rename(self.path, f"{self.path}.1")
        elif self.kind == "date":
            os.rename(self.path, f"{self.path}-20261130{self.rotations:04}")
        else:
            self.another()
        self.file = open(self.path, "a")

    def shift(self):
        for old in range(KEPT - 1, 0, -1):
            if os.path.exists(f"{self.path}.{old}"):
                os.rename(f"{self.path}.{old}", f"{self.path}.{old + 1}")


# More than are rotated while an agent is away: what is removed before it was read is lost, and is not what is tried here.
KEPT = 200


def main(home, pumps, rate):
    running = [Pump(home, number) for number in range(pumps)]
    ends, bursts = [], []
    signal.signal(signal.SIGTERM, lambda *_: ends.append(True))
    signal.signal(signal.SIGUSR1, lambda *_: bursts.append(True))
    tenth = 0
    while not ends:
        if bursts:
            bursts.clear()
            for pump in running[: len(KINDS)]:
                for _ in range(6):
                    pump.write(BURST // 6)
                    pump.rotate()
        for number, pump in enumerate(running):
            pump.write(max(1, rate // 10))
            # Each at its own time, about every three seconds, once all agents have looked at their logs: what was rotated before is not
            # read, by design.
            if os.path.exists(os.path.join(home, "rotate")) and (tenth + 7 * number) % 30 == 29:
                pump.rotate()
        tenth += 1
        time.sleep(0.1)
    streams = {}
    for pump in running:
        pump.file.close()
        streams.update(pump.streams)
    with open(os.path.join(home, "written.json"), "w") as file:
        json.dump(streams, file)
    print(f"{sum(streams.values())} lines in {len(streams)} files and series, {sum(pump.rotations for pump in running)} rotations")


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
