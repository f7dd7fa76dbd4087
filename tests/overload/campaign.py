"""Every flood, one after the other, against the real authority; what each took from it, and from those who call beside.

deploy/overload.sh makes the stubs and runs this. Exit code 0 only if every ceiling was kept.
"""

import argparse
import concurrent.futures
import json
import math
import multiprocessing
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc
import operators
import trials
from authority import Authority
from beside import KINDS, Beside

from floods import FLOODS
from floods.control import control
from floods.flood import Ground

MIB = 1 << 20
# Resident memory above what it has at rest, during a flood and when it is over.
PEAK, LEFT = 256 * MIB, 64 * MIB
# Milliseconds of a wait that is nobody's concern.
UNNOTICED = 10.0
# Seconds until everything is as it was.
RECOVERY = 5
# Bytes of log, and entries of the audit log, a second.
LOG, AUDIT = 64 << 10, 50
# Another tenant's devices. An auditor's scan goes over their entries; and there are enough of them that the authority keeps all the
# opened keys at hand that it ever keeps (128 MiB), as one does that has been at work for a while. (Not with --short.)
OTHERS = 48_000


@dataclass
class Row:
    """What one flood did. Memory is in MiB, waits in milliseconds."""

    flood: str
    seconds: float
    rest: float
    peak: float
    after: float
    p50_before: float
    p99_before: float
    p50: float
    p99: float
    worst: float
    p99_control: float
    processor: float
    client: float
    log_kib: float
    audit: float
    recovery: float
    seen: dict
    complaints: list[str]


def attack(name, ground):
    """In a worker's process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    begun, processor = time.monotonic(), time.process_time()
    seen = (FLOODS[name].run if name else control)(ground)
    return seen, (time.process_time() - processor) / (time.monotonic() - begun)


class Campaign:
    def __init__(self, authority, large):
        self.authority, self.large = authority, large
        self.beside = self.watcher = None
        self.pool = concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))
        # Both are there before the first flood, so that none pays for their start.
        for started in [self.pool.submit(time.sleep, 1) for _ in range(2)]:
            started.result()
        self.rows = []

    def populate(self):
        """Two tenants: the attackers', and that of the callers beside."""
        authority = self.authority
        for tenant in ("alpha", "beta"):
            authority.tenant(tenant)
        authority.operator("watcher", "admin")
        authority.operator("beta-platform", "platform", "beta")
        authority.operator("beta-station", "station", "beta", quota=10_000_000)
        authority.operator("alpha-station", "station", "alpha", quota=10_000_000)
        authority.operator("alpha-quota-1", "station", "alpha", quota=1)
        authority.operator("alpha-auditor", "auditor", "alpha")
        authority.operator("alpha-platform", "platform", "alpha")
        authority.operator("alpha-revoked", "platform", "alpha")
        authority.run("operator", "revoke", authority.serial("alpha-revoked"), "--reason", "stolen", "--yes")
        station = authority.house / "beta-station"
        # So many at a time: its HTTP/2 takes many small messages that it has not read for an attack.
        places, failures = threading.Semaphore(64), []

        def requests():
            for number in range(OTHERS if self.large else OTHERS // 6):
                places.acquire()
                yield operators.in_stream(number, operators.enrollment(f"d-{number}"))

        with operators.channel(station, station) as channel:
            for reply in operators.provisioning(channel).EnrollStream(requests()):
                places.release()
                if reply.HasField("failure"):
                    failures.append(reply.failure.code)
        if failures:
            raise RuntimeError(f"{len(failures)} of {OTHERS} enrollments: {failures[0]}")

    def begin(self):
        """Starts the authority, and those who call beside."""
        self.authority.start()
        if not self.rows and self.beside is None:
            self.populate()
        house = self.authority.house
        self.watcher = operators.channel(house / "watcher", house / "watcher")
        self.beside = Beside(house / "beta-platform", self.authority.target.http)
        self.beside.wait_for_calls()

    def end(self):
        self.beside.stop()
        self.watcher.close()
        self.authority.stop()

    def audit_entries(self, otherwise=0):
        """How many there are; `otherwise` where it does not answer."""
        try:
            return operators.admin(self.watcher).GetStatus(operators.status(), timeout=5).audit_entries
        except grpc.RpcError:
            return otherwise

    def in_workers(self, name, workers, seconds, share=0.0):
        ground = Ground(self.authority.target, self.authority.house, time.monotonic() + seconds, 0, workers, self.large, share)
        parts = [self.pool.submit(attack, name, Ground(**(vars(ground) | {"worker": n}))) for n in range(workers)]
        results = [part.result(timeout=seconds + 60) for part in parts]
        seen = Counter()
        for counts, _ in results:
            for what, count in counts.items():
                seen[what] = max(seen[what], count) if what.startswith("most") else seen[what] + count
        return seen, max(share for _, share in results)

    def try_one(self, flood):
        authority, seconds = self.authority, flood.seconds if self.large else flood.short
        calm = time.monotonic()
        time.sleep(2 if self.large else 0.3)
        before = self.beside.between(calm, time.monotonic())
        rest, entries, log, errors = authority.memory(), self.audit_entries(), authority.log.bytes, authority.log.errors
        processor = authority.processor()
        if flood.stalls_log:
            authority.log.stall()
        with Peak(authority) as peak:
            begun = time.monotonic()
            seen, client = self.in_workers(flood.name, flood.workers, seconds)
            ended = time.monotonic()
        took = ended - begun
        processor = (authority.processor() - processor) / took
        complaints = []
        recovery, after = self.recover(rest, complaints)
        # Calls that began in the flood and came to nothing have their say by now.
        during = self.beside.between(begun, ended)
        authority.log.resume()
        log, entries = (authority.log.bytes - log) / took, (self.audit_entries(entries) - entries) / took
        p99_control = math.nan
        if self.large and not complaints:
            begun = time.monotonic()
            self.in_workers(None, flood.workers, 5, client)
            p99_control = self.beside.between(begun, time.monotonic()).p99

        if authority.log.errors > errors and not flood.stalls_log:
            complaints.append(f"{authority.log.errors - errors} errors in its log, such as: {authority.log.last_error[:300]}")
        if peak.bytes - rest > PEAK:
            complaints.append(f"{(peak.bytes - rest) / MIB:.0f} MiB above rest")
        if during.first_error():
            complaints.append(during.first_error())
        if not math.isnan(p99_control) and during.p99 > max(flood.longer * p99_control, UNNOTICED):
            complaints.append(f"operators wait {during.p99 / p99_control:.1f} times as long")
        if log > LOG:
            complaints.append(f"{log / 1024:.0f} KiB/s of log")
        if entries > AUDIT and not flood.is_on_record:
            complaints.append(f"{entries:.0f} audit entries a second")
        own = flood.complaint(seen, self.large)
        if own:
            complaints.append(own)
        return Row(flood.name, took, rest / MIB, peak.bytes / MIB, after / MIB, before.p50, before.p99, during.p50, during.p99,
                   during.worst, p99_control, processor, client, log / 1024, entries, recovery, dict(seen), complaints)  # fmt: skip

    def recover(self, rest, complaints):
        """Seconds until everyone is answered and the memory is given back, and the resident bytes then."""
        begun = time.monotonic()
        while self.authority.is_alive():
            passed, memory = time.monotonic() - begun, self.authority.memory()
            if self.beside.answered_since(begun) == set(KINDS) and memory - rest < LEFT:
                return passed, memory
            if passed > RECOVERY:
                missing = set(KINDS) - self.beside.answered_since(begun)
                if missing:
                    complaints.append(f"{RECOVERY} s later not answered: {', '.join(sorted(missing))}")
                if memory - rest >= LEFT:
                    complaints.append(f"{RECOVERY} s later {(memory - rest) / MIB:.0f} MiB above rest")
                return passed, memory
            time.sleep(0.05)
        complaints.append(f"it died: exit code {self.authority.process.poll()}")
        return math.inf, 0

    def run(self, names):
        self.begin()
        for name in names:
            flood = FLOODS[name]
            row = self.try_one(flood)
            # Waits depend on what else this machine does; nothing else has another chance.
            for _ in range(2):
                if row.complaints and all("times as long" in each for each in row.complaints):
                    row = self.try_one(flood)
            self.rows.append(row)
            shown(row)
            if any("later" in each or "died" in each for each in row.complaints):
                self.end()
                self.begin()
        self.end()


class Peak:
    """The most resident memory while it is entered."""

    def __init__(self, authority):
        self.authority, self.bytes, self.over = authority, authority.memory(), threading.Event()
        self.thread = threading.Thread(target=self._look)

    def _look(self):
        while not self.over.wait(0.05):
            self.bytes = max(self.bytes, self.authority.memory())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


HEAD = f"{'flood':20} {'MiB rest peak after':>20} {'ms p50 before/in':>18} {'p99 before/in/control':>24} {'log KiB/s':>9} {'audit/s':>8} {'s':>4}"


def shown(row):
    memory = f"{row.rest:.0f} {row.peak:.0f} {row.after:.0f}"
    middle = f"{row.p50_before:.1f}/{row.p50:.1f}"
    tail = f"{row.p99_before:.1f}/{row.p99:.1f}/{row.p99_control:.1f}"
    line = f"{row.flood:20} {memory:>20} {middle:>18} {tail:>24} {row.log_kib:9.1f} {row.audit:8.1f} {row.recovery:4.1f}"
    print(line, "" if row.complaints else " held", flush=True)
    counts = ", ".join(f"{count} {what}" for what, count in sorted(row.seen.items()))
    print(f"    {counts}; processors: {row.processor:.1f} server, {row.client:.1f} client", flush=True)
    for complaint in row.complaints:
        print("    NOT HELD: " + complaint, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument(
        "--short", action="store_true", help="a second or two a flood, and smaller numbers; waits are shown, not judged"
    )
    parser.add_argument("--json", type=Path, help="write the rows there, too")
    parser.add_argument("--list", action="store_true", help="the floods, and what each does")
    parser.add_argument("floods", nargs="*", metavar="FLOOD", help="these alone")
    options = parser.parse_args()
    if options.list:
        for flood in FLOODS.values():
            print(f"{flood.name:20} {flood.what}")
        return 0
    unknown = [name for name in options.floods if name not in FLOODS]
    if unknown:
        parser.error(f"there is no flood {unknown[0]}")
    succeeded = {} if options.floods else try_the_rest(options.binary.resolve())
    with tempfile.TemporaryDirectory() as house:
        campaign = Campaign(Authority(options.binary.resolve(), Path(house)), not options.short)
        print(HEAD)
        try:
            campaign.run(options.floods or list(FLOODS))
        finally:
            campaign.authority.stop()
            if campaign.beside:
                campaign.beside.stop()
            campaign.pool.shutdown(cancel_futures=True)
    if options.json:
        found = {"floods": [asdict(row) for row in campaign.rows], "trials": succeeded}
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    failed = [row.flood for row in campaign.rows if row.complaints]
    print(
        f"\n{len(campaign.rows) - len(failed)} of {len(campaign.rows)} floods held."
        + (f" Not held: {', '.join(failed)}" if failed else "")
    )
    if succeeded:
        print(f"{len(succeeded)} trials succeeded.")
    return 1 if failed or succeeded else 0


def try_the_rest(binary):
    """The trials, against an authority that nothing else happens to."""
    with tempfile.TemporaryDirectory() as house:
        authority = Authority(binary, Path(house))
        try:
            authority.start()
            return trials.run(authority)
        finally:
            authority.stop()


if __name__ == "__main__":
    sys.exit(main())
