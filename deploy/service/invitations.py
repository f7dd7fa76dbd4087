"""Invites a technician HOUSE COUNT times by the command line, eight at a time, with the authority away now and then.

An invitation whose answer was lost is asked for again: it is made then, or refused because it is there. Writes the work orders and ids that were
acknowledged to HOUSE/acknowledged, and prints figures.
"""

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

house, count = sys.argv[1], int(sys.argv[2])
# A device has up to 16 visits that are not over, and a technician one at a time.
PER_DEVICE = 16
begin = int(time.time()) + 600
lock = threading.Lock()
figures = {"acknowledged": 0, "asked_again": 0, "found_there": 0}
waits = []
acknowledged = []


def moment(second):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def invite(number):
    device, slot = f"pump-{number // PER_DEVICE + 4:03}", number % PER_DEVICE
    order = f"LOAD-{number:05}"
    command = ["wardein", "--json", "service", "invite", "--identity", f"{house}/carla", "--technician", "eva", "--key", f"{house}/eva.key.pub",
               "--device", device, "--work-order", order, "--scope", "view", "--from", moment(begin + slot * 3600 + 86400),
               "--until", moment(begin + slot * 3600 + 86400 + 3000), "--yes"]
    for attempt in range(200):
        asked = time.monotonic()
        answer = subprocess.run(command, capture_output=True, text=True)
        took = time.monotonic() - asked
        if answer.returncode == 0:
            with lock:
                figures["acknowledged"] += 1
                waits.append(took)
                acknowledged.append(f"{order} {json.loads(answer.stdout)['id']}")
            return
        code = json.loads(answer.stderr.splitlines()[-1])["error"].get("code")
        if code == "visit-overlaps" and attempt > 0:
            with lock:
                figures["found_there"] += 1
            return
        # The authority is away, or sheds load.
        if answer.returncode != 4 and code not in ("overloaded", "shutting-down", "unavailable", "store-unavailable"):
            sys.exit(f"{order}: {answer.stderr}")
        with lock:
            figures["asked_again"] += 1
        time.sleep(0.2)
    sys.exit(f"{order}: the authority stays away")


started = time.monotonic()
with ThreadPoolExecutor(8) as pool:
    for _ in pool.map(invite, range(count)):
        pass
waits.sort()
with open(f"{house}/acknowledged", "w") as file:
    file.write("".join(f"{line}\n" for line in acknowledged))
print(json.dumps({**figures, "seconds": round(time.monotonic() - started, 1), "median_ms": round(1000 * waits[len(waits) // 2]),
                  "p99_ms": round(1000 * waits[len(waits) * 99 // 100])}))
