"""The honest callers beside a flood: how long each waits, a line of JSON each, until standard input ends.

A process of its own, so that it is not the flood's interpreter that makes it wait. Calls begin when they are due, whether or not
the earlier ones came back: callers who wait for an answer before they ask again would hide a stall.
"""

import argparse
import http.client
import json
import sys
import threading
import time
from pathlib import Path

import grpc
import operators

PATIENCE = 5


def report(kind, begun, code):
    line = json.dumps({"kind": kind, "at": begun, "ms": round((time.monotonic() - begun) * 1_000, 3), "code": code})
    # One write, for several threads report.
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def keep_asking(kind, method, request, every):
    due = time.monotonic()
    while True:
        due = max(due + every, time.monotonic() - 1)
        time.sleep(max(0, due - time.monotonic()))
        begun = time.monotonic()

        def done(call, begun=begun):
            error = call.exception()
            report(kind, begun, operators.code_of(error) if error else "ok")

        method.future(request, timeout=PATIENCE).add_done_callback(done)


def keep_connecting(platform, every):
    """A platform that comes just now: TCP, TLS and the first answer."""
    while True:
        begun = time.monotonic()
        with operators.channel(platform, platform) as channel:
            try:
                operators.trust(channel).Check(operators.check(), timeout=PATIENCE)
                report("connect", begun, "ok")
            except grpc.RpcError as error:
                report("connect", begun, operators.code_of(error))
        time.sleep(every)


def keep_looking(address, every):
    """An orchestrator, which ends what does not answer here."""
    while True:
        begun = time.monotonic()
        connection = http.client.HTTPConnection(*address, timeout=2)
        try:
            connection.request("GET", "/healthz")
            report("healthz", begun, "ok" if connection.getresponse().status == 200 else "not-ok")
        except OSError as error:
            report("healthz", begun, type(error).__name__)
        finally:
            connection.close()
        time.sleep(every)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--platform", type=Path, required=True)
    parser.add_argument("--http", required=True)
    options = parser.parse_args()
    host, port = options.http.rsplit(":", 1)
    platform = operators.channel(options.platform, options.platform)
    anyone = operators.channel(options.platform)
    each = [
        (keep_asking, "check", operators.trust(platform).Check, operators.check(), 0.01),
        (keep_asking, "challenge", operators.device(anyone).GetChallenge, operators.challenge(), 0.05),
        (keep_connecting, options.platform, 0.2),
        (keep_looking, (host, int(port)), 0.2),
    ]
    for function, *arguments in each:
        threading.Thread(target=function, args=arguments, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
