"""What operators can do: stolen, revoked or careless ones."""

import threading
import time
from collections import Counter

import grpc
import operators
from floods.flood import Crowd, call, flood
from wire import call_headers, message, text

CHECK = call_headers("/wardein.v1.TrustService/Check")
ENTRIES = call_headers("/wardein.v1.AuditService/ListEntries")
QUESTION = message(text(1, "nobody"))
# A page of 1,000, from the first entry.
PAGE = message(b"\x20\xe8\x07")
# How many times as long another tenant's operators may wait.
OTHER_TENANT = 1.5
# Enrollments that a quota of 1 may accept of one device in the time of a flood: enough for lost replies and a slip or two.
SOME = 64


def few_accepted(seen, large):
    return f"{seen['accepted']} enrollments were accepted by a quota of 1" if seen["accepted"] > SOME else None


@flood("recipes", "a station with quota 1 enrolls one device again and again, with 64 new attributes each time", seconds=15, short=2,
       is_on_record=True, complaint=few_accepted)  # fmt: skip
def recipes(ground):
    seen, places, lock = Counter(), threading.Semaphore(32), threading.Lock()
    identity = ground.house / "alpha-quota-1"

    def done(future):
        error = future.exception()
        with lock:
            seen["accepted" if error is None else operators.code_of(error)] += 1
        places.release()

    with operators.channel(identity, identity) as channel:
        enroll = operators.provisioning(channel).Enroll
        while ground.goes_on():
            places.acquire()
            first = ground.number()
            names = [f"{first + n:x}".rjust(64, "x") for n in range(64)]
            enroll.future(operators.enrollment("recipes-1", names), timeout=5).add_done_callback(done)
        for _ in range(32):
            places.acquire(timeout=5)
    return seen


@flood("revoked-operator", "a revoked identity calls at full speed")
def revoked_operator(ground):
    return call(Crowd(ground, 4, ["127.0.0.2"], identity="alpha-revoked"), CHECK, QUESTION, 200)


@flood("refused-role", "a station asks what only platforms may, at full speed")
def refused_role(ground):
    return call(Crowd(ground, 4, ["127.0.0.2"], identity="alpha-station"), CHECK, QUESTION, 200)


@flood(
    "auditor-32",
    "a tenant's auditor reads the log from its beginning, 32 pages at a time",
    is_on_record=True,
    longer=OTHER_TENANT,
)
def auditor_32(ground):
    return call(Crowd(ground, 1, ["127.0.0.2"], identity="alpha-auditor", initial_window=1 << 30), ENTRIES, PAGE, 32)


@flood("auditor-2000", "the same, 2,000 at a time", is_on_record=True, longer=OTHER_TENANT)
def auditor_2000(ground):
    return call(
        Crowd(ground, ground.some(8, 8), ["127.0.0.2"], identity="alpha-auditor", initial_window=1 << 30), ENTRIES, PAGE, 250
    )


@flood("one-tenant", "one tenant's platform asks at full speed on eight connections", is_on_record=True, longer=OTHER_TENANT)
def one_tenant(ground):
    return call(Crowd(ground, 8, ["127.0.0.2"], identity="alpha-platform"), CHECK, QUESTION, 200)


@flood("station-stream", "one tenant's station enrolls as fast as it is let", is_on_record=True, longer=OTHER_TENANT)
def station_stream(ground):
    seen, first, places = Counter(), ground.number(), threading.Semaphore(64)
    identity = ground.house / "alpha-station"

    def requests():
        number = 0
        while ground.goes_on():
            number += 1
            # More small messages ahead of the authority end the connection.
            places.acquire(timeout=1)
            yield operators.in_stream(number, operators.enrollment(f"s-{first:x}-{number}"))

    with operators.channel(identity, identity) as channel:
        try:
            for reply in operators.provisioning(channel).EnrollStream(requests(), timeout=ground.left() + 10):
                places.release()
                seen["enrolled" if reply.WhichOneof("result") == "enrolled" else reply.failure.code] += 1
        except grpc.RpcError as error:
            seen[operators.code_of(error)] += 1
            time.sleep(ground.left())
    return seen
