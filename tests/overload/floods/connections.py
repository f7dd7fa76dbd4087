"""Connections that are opened and kept."""

import time
from collections import Counter

from floods.flood import flood
from wire import CHALLENGE, END_STREAM, Peer, call_headers, still_open, tcp, tls, tls_context

TWO = ["127.0.0.2", "127.0.0.3"]
TEN = [f"127.0.0.{last}" for last in range(10, 20)]


def hold(ground, count, sources, begin, living):
    """Opens so many within a third of the time, and holds them. Those that the authority closes are not opened again."""
    seen, held, failures, later = Counter(), [], 0, ground.left() * 2 / 3
    while ground.left() > later and seen["opened"] < count and failures < 1_000:
        source = sources[(seen["opened"] + failures) % len(sources)]
        try:
            held.append(begin(source))
            seen["opened"] += 1
        except OSError:
            failures += 1
            time.sleep(0.01)
        if seen["opened"] % 500 == 499:
            held = living(held)
    seen["failed"] = failures
    while ground.goes_on():
        held = living(held)
        time.sleep(min(0.5, ground.left()))
    held = living(held)
    seen["still open"] = len(held)
    for each in held:
        each.close()
    return seen


def living_peers(peers):
    for peer in peers:
        peer.read()
    return [peer for peer in peers if peer.alive]


def none_stays(seen, large):
    """In the long form there is time enough for the authority to close them."""
    return f"{seen['still open']} connections are still open" if large and seen["still open"] else None


@flood("handshakes", "whole TLS handshakes, each on a connection that is closed after it", workers=2)
def handshakes(ground):
    context, seen = tls_context(), Counter()
    while ground.goes_on():
        try:
            tls(ground.target.grpc, TWO[seen["handshakes"] % 2], context).close()
            seen["handshakes"] += 1
        except OSError:
            seen["refused"] += 1
    return seen


@flood("half-open", "connections without a TLS handshake, from two addresses", seconds=45, short=2, complaint=none_stays)
def half_open(ground):
    return hold(ground, ground.some(10_000, 1_000), TWO, lambda source: tcp(ground.target.grpc, source), still_open)


@flood(
    "idle-tls",
    "connections without a byte after the TLS handshake, from two addresses",
    seconds=60,
    short=2,
    workers=2,
    complaint=none_stays,
)
def idle_tls(ground):
    context = tls_context()
    return hold(ground, ground.some(10_000, 600), TWO, lambda source: tls(ground.target.grpc, source, context), still_open)


@flood(
    "idle-h2",
    "connections that speak HTTP/2 and never call, from two addresses",
    seconds=60,
    short=2,
    workers=2,
    complaint=none_stays,
)
def idle_h2(ground):
    context = tls_context()
    begin = lambda source: Peer.connect(ground.target, source, context)  # noqa: E731
    return hold(ground, ground.some(10_000, 600), TWO, begin, living_peers)


@flood(
    "many-connections",
    "10,000 connections from ten addresses, each with one honest call, kept after it",
    seconds=45,
    short=2,
    workers=2,
)
def many_connections(ground):
    context = tls_context()
    block = call_headers("/wardein.v1.DeviceService/GetChallenge")

    def begin(source):
        peer = Peer.connect(ground.target, source, context)
        peer.open_streams(block, 1, CHALLENGE, END_STREAM)
        return peer

    return hold(ground, ground.some(10_000, 600), TEN, begin, living_peers)
