"""Accounts for every line that was written: check.py HOME.

The maker's copy is what wardein-receive placed (HOME/received/records), the hospital's what came into the bucket
(HOME/bucket), opened by the hospital's key. Each line is there once, in the order of its stream, or within a gap that was
reported. No marker of a patient is in the maker's copy, and none in the clear in what was stored, spooled or carried.
"""

import collections
import io
import json
import pathlib
import re
import sys

import pyrage
import zstandard

MARKER = b"Erika-Mustermann"
home = pathlib.Path(sys.argv[1])
written = json.loads((home / "written.json").read_text())
wrong = []


def account(who, records, gaps):
    """Records are (device, code) in the order of their batches; gaps the bytes that each device reported."""
    came, last, seen = collections.Counter(), {}, set()
    twice = disordered = 0
    for device, code in records:
        stream, number = re.fullmatch(r"E(p\d+(?:f\d+)?)-(\d+)", code).groups()
        number = int(number)
        if (stream, number) in seen:
            twice += 1
            continue
        seen.add((stream, number))
        disordered += number < last.get(stream, -1)
        last[stream] = max(number, last.get(stream, -1))
        came[stream] += 1
    missing = collections.Counter()
    for stream, count in written.items():
        if came[stream] < count:
            lost = sum((stream, number) not in seen for number in range(count))
            missing[f"pump-{stream[1:3]}"] += lost
    unaccounted = {device: lost for device, lost in missing.items() if gaps.get(device, 0) < lost * SHORTEST}
    print(
        f"{who}: {sum(came.values())} of {sum(written.values())} lines, {twice} twice, {disordered} out of order, "
        f"{sum(missing.values())} in gaps that were reported ({len(gaps)} devices reported some)"
        if not unaccounted
        else f"{who}: {unaccounted} lines are missing, and no gap tells of them"
    )
    if twice or disordered or unaccounted:
        wrong.append(who)
    if set(came) - set(written):
        wrong.append(f"{who} has lines that nobody wrote")


# The bytes of a line at least.
SHORTEST = 120


def received():
    records, gaps = [], collections.Counter()
    for device in sorted((home / "received/records").iterdir()):
        for batch in sorted(device.iterdir()):
            if not batch.name.startswith("maker-"):
                continue
            for text in (batch / "records.ndjson").read_text().splitlines():
                record = json.loads(text)
                if "patient" in record["record"]["fields"]:
                    wrong.append(f"{batch} has the patient's field")
                records.append((device.name, record["record"]["fields"]["code"]))
            for text in (batch / "gaps.ndjson").read_text().splitlines():
                gap = json.loads(text)
                if gap["why"] == "batches-missing":
                    wrong.append(f"{batch}: {text}")
                gaps[device.name] += gap.get("bytes") or 0
    return records, +gaps


def stored():
    identity = pyrage.x25519.Identity.from_str((home / "hospital.key").read_text().strip())
    records, gaps, numbers, with_patient = [], collections.Counter(), collections.defaultdict(list), 0
    for path in sorted((home / "bucket").glob("*/hospital-*.age")):
        device = path.parent.name
        numbers[device].append(int(path.name[9:-4]))
        plain = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(pyrage.decrypt(path.read_bytes(), [identity]))).read()
        header, *lines = plain.decode().splitlines()
        for gap in json.loads(header)["gaps"]:
            gaps[device] += gap["bytes"]
        for text in lines:
            fields = json.loads(text)["fields"]
            with_patient += fields["patient"].startswith(MARKER.decode())
            records.append((device, fields["code"]))
        if not path.with_name(f"{path.name}.sig").exists():
            wrong.append(f"{path} has no statement")
    for device, found in numbers.items():
        if found != list(range(1, len(found) + 1)):
            wrong.append(f"the hospital's batches of {device} are {found}")
    if with_patient != len(records):
        wrong.append("the hospital's records lack patients")
    return records, +gaps


def no_marker(what, *places):
    files = [path for place in places for path in (home / place).rglob("*") if path.is_file()]
    shown = [path for path in files if MARKER in path.read_bytes()]
    print(f"{what}: {len(files)} files, {sum(path.stat().st_size for path in files)} bytes, the marker in {len(shown)}")
    if shown or not files:
        wrong.append(f"{what}: {shown[:3]}")


account("the maker", *received())
account("the hospital", *stored())
no_marker("the maker's copy", "received")
no_marker("what was stored", "bucket")
no_marker("spools, as they were amid the trial", "spooled")
no_marker("states of devices, spools among them", "devices")
no_marker("what was carried", "wire")
if wrong:
    sys.exit("\n".join(map(str, ["this does not hold:", *wrong])))
