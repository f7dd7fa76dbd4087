"""What else an audit could do, tried again from outside: each trial says what it was still able to do, or nothing.

They go to an authority of their own, for some of them change who may do what.
"""

import json
import threading
import time
from pathlib import Path

import grpc
import operators
from wardein.v1 import admin_pb2, attestation_pb2, attestation_pb2_grpc

PATIENCE = 10


def refused(method, request):
    """The code of the refusal; nothing if it was accepted."""
    try:
        method(request, timeout=PATIENCE)
    except grpc.RpcError as error:
        return operators.code_of(error)
    return None


class Trials:
    def __init__(self, authority):
        self.authority = authority
        for tenant in ("nord", "west"):
            authority.tenant(tenant)
        self.founder = authority.serial(role="admin")
        self.admin = operators.admin(self.channel(authority.operator("watcher", "admin", validity="30d")))

    def channel(self, identity):
        return operators.channel(identity, identity)

    def issue(self, name, role, tenant=None, quota=None):
        return self.channel(self.authority.operator(name, role, tenant, quota))

    def a_tenants_auditor_sees_other_tenants(self):
        stub = operators.admin(self.issue("nord-auditor", "auditor", "nord"))
        try:
            tenants = [each.tenant for each in stub.ListTenants(admin_pb2.ListTenantsRequest(), timeout=PATIENCE).tenants]
        except grpc.RpcError:
            return None
        return f"the auditor of nord lists {', '.join(tenants)}" if tenants != ["nord"] else None

    def a_tenants_auditor_counts_all_entries(self):
        auditor = self.issue("west-auditor", "auditor", "west")
        reply = operators.audit(auditor).ListEntries(operators.entries(), timeout=PATIENCE)
        numbers = [entry.sequence for entry in reply.entries]
        gaps = [(one, next) for one, next in zip(numbers, numbers[1:], strict=False) if next != one + 1]
        return f"its own entries have gaps where others' are, such as {gaps[0]}" if gaps else None

    def a_revocation_is_lost(self):
        """An operator is revoked as soon as it can be seen, and asked whether it still works."""
        order = lambda n: self.authority.operator(f"race-{n}", "platform", "nord")  # noqa: E731
        for n in range(8):
            issuing = threading.Thread(target=order, args=(n,))
            issuing.start()
            serial = self._seen(f"race-{n}")
            code = refused(self.admin.RevokeOperator, admin_pb2.RevokeOperatorRequest(serial=serial, reason="race"))
            issuing.join()
            platform = operators.trust(self.channel(self.authority.house / f"race-{n}"))
            if code is None and refused(platform.Check, operators.check()) is None:
                return f"race-{n} was revoked, and still calls"
        return None

    def _seen(self, name):
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            token = b""
            while True:
                request = admin_pb2.ListOperatorsRequest(page_size=1_000, page_token=token)
                page = self.admin.ListOperators(request, timeout=PATIENCE)
                for each in page.operators:
                    if each.name == name:
                        return each.serial
                token = page.next_page_token
                if not token:
                    break
        raise RuntimeError(f"{name} was never listed")

    def names_turn_or_hide_text(self):
        station = operators.provisioning(self.issue("nord-names", "station", "nord", quota=1_000))
        for text in ("Pump \u202etsurt fo tuo", "Pump\u200b 2", "Pump\u2028 2", "Pump \u2066 2"):
            request = operators.enrollment("turned-1")
            request.model = text
            if refused(station.Enroll, request) is None:
                return f"the model {text!r} was accepted"
        return None

    def device_ids_are_options_or_files_of_their_own_kind(self):
        station = operators.provisioning(self.issue("nord-ids", "station", "nord", quota=1_000))
        for device in ("-rf", "--help", "...", ".hidden", "CON"):
            if refused(station.Enroll, operators.enrollment(device)) is None:
                return f"a device is called {device}"
        station.Enroll(operators.enrollment("case-1"), timeout=PATIENCE)
        if refused(station.Enroll, operators.enrollment("CASE-1")) is None:
            return "case-1 and CASE-1 are two devices"
        return None

    def a_station_outlives_its_quota(self):
        station = operators.provisioning(self.issue("nord-one", "station", "nord", quota=1))
        station.Enroll(operators.enrollment("quota-1"), timeout=PATIENCE)
        return "a second device was enrolled" if refused(station.Enroll, operators.enrollment("quota-2")) is None else None

    def a_station_without_quota_takes_a_device_over(self):
        policy = attestation_pb2.KeyPolicy(tenant="west", keepers=["KEY_KEEPER_SOFTWARE"])
        attestation = attestation_pb2_grpc.AttestationServiceStub(self.channel(self.authority.house / "watcher"))
        attestation.PutKeyPolicy(attestation_pb2.PutKeyPolicyRequest(policy=policy), timeout=PATIENCE)
        right = operators.provisioning(self.issue("west-right", "station", "west", quota=1))
        right.EnrollKey(operators.key_enrollment("lost-1"), timeout=PATIENCE)
        readmit = admin_pb2.ReadmitDeviceRequest(tenant="west", device_id="lost-1", enroll_anew=True, reason="lost")
        self.admin.ReadmitDevice(readmit, timeout=PATIENCE)
        wrong = operators.provisioning(self.issue("west-wrong", "station", "west", quota=0))
        return "it enrolled a readmitted device" if refused(wrong.EnrollKey, operators.key_enrollment("lost-1")) is None else None

    def a_short_lived_administrator_issues_a_long_lived_one(self):
        house = self.authority.house
        self.authority.operator("west-short", "tenant-admin", "west", validity="1h")
        arguments = ["--role", "auditor", "--tenant", "west", "--name", "west-long", "--validity", "366d"]
        try:
            self.authority.run("operator", "issue", "--identity", house / "west-short", *arguments, "--out", house / "west-long")
        except RuntimeError:
            return None
        listed = json.loads(self.authority.run("operator", "list", "--json"))["operators"]
        ends = {each["name"]: each["not_after"] for each in listed}
        return (
            "an administrator valid for an hour issued an auditor valid for a year"
            if ends["west-long"] > ends["west-short"]
            else None
        )

    def a_backup_is_written_through_a_link(self):
        victim, out = self.authority.house / "victim", self.authority.house / "backup"
        victim.write_bytes(b"mine")
        Path(f"{out}.partial").symlink_to(victim)
        try:
            self.authority.run("backup", "--out", out)
        except RuntimeError:
            pass
        return "the file behind the link was overwritten" if victim.read_bytes() != b"mine" else None

    def the_process_may_be_dumped(self):
        limits = Path(f"/proc/{self.authority.process.pid}/limits").read_text().splitlines()
        core = next(line.split() for line in limits if line.startswith("Max core file size"))
        return f"core files of {core[4]} bytes" if core[4] != "0" else None

    def the_last_administrator_is_revoked(self):
        """The last of the trials, for where it succeeds nobody can do anything after it."""
        revoke = lambda serial: refused(self.admin.RevokeOperator, admin_pb2.RevokeOperatorRequest(serial=serial, reason="gone"))  # noqa: E731
        watcher = self.authority.serial("watcher")
        code = revoke(self.founder)
        if code is not None:
            raise RuntimeError(f"the founder cannot be revoked beside another administrator: {code}")
        return "the only administrator was revoked" if revoke(watcher) is None else None


def run(authority):
    """Each trial, in the order in which they are written; those that succeeded."""
    trials, succeeded = Trials(authority), {}
    for name, trial in vars(Trials).items():
        if name.startswith("_") or name in ("channel", "issue"):
            continue
        was_able = trial(trials)
        print(f"{name.replace('_', ' '):60} {'NOT HELD: ' + was_able if was_able else 'held'}", flush=True)
        if was_able:
            succeeded[name] = was_able
    return succeeded
