"""What makes the authority write, without a certificate."""

import os
import struct
import time
from collections import Counter

from floods.flood import Crowd, flood, repeat
from wire import DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, WINDOW_UPDATE, call_headers, frame, message, tcp

CHALLENGE = call_headers("/wardein.v1.DeviceService/GetChallenge")
UNKNOWN = call_headers("/x")


@flood("stalled-log", "nobody reads the log, while 2,000 calls of unknown methods fill its pipe", short=2, stalls_log=True)
def stalled_log(ground):
    crowd = Crowd(ground, 4, ["127.0.0.2"])
    while ground.goes_on():
        for peer in crowd.living():
            if peer.next_stream < 2 * 500:
                peer.open_streams(UNKNOWN, 50, message(b""), END_STREAM)
        time.sleep(0.02)
    return crowd.end()


@flood("garbage-handshakes", "connections that begin with anything but a ClientHello")
def garbage_handshakes(ground):
    seen = Counter()
    while ground.goes_on():
        try:
            connection = tcp(ground.target.grpc, "127.0.0.2")
            connection.sendall(os.urandom(64))
            # Gone at once: closed ports that linger would be this machine's bound, not the authority's.
            connection.setsockopt(1, 13, struct.pack("ii", 1, 0))
            connection.close()
            seen["connections"] += 1
        except OSError:
            seen["connections refused"] += 1
    return seen


@flood("unknown-methods", "calls of a method that does not exist, as fast as they are taken")
def unknown_methods(ground):
    crowd = Crowd(ground, 4, ["127.0.0.2"])
    return repeat(ground, crowd, lambda peer: peer.open_streams(UNKNOWN, 200, message(b""), END_STREAM))


@flood("window-overflow", "WINDOW_UPDATE beyond 2^31-1 on each stream (6.9.1)")
def window_overflow(ground):
    def write(peer):
        first, parts = peer.next_stream, []
        peer.next_stream += 200
        for stream in range(first, peer.next_stream, 2):
            parts += (
                frame(HEADERS, END_HEADERS, stream, CHALLENGE),
                frame(WINDOW_UPDATE, 0, stream, struct.pack(">L", (1 << 31) - 1)),
            )
        peer.send(b"".join(parts))

    return repeat(ground, Crowd(ground, 4, ["127.0.0.2"]), write)


@flood("dropped-streams", "calls that are dropped before their body is there")
def dropped_streams(ground):
    crowd = Crowd(ground, 8, ["127.0.0.2"])
    while ground.goes_on():
        for peer in crowd.living():
            # The authority is to have begun with them, else they count as a rapid reset.
            peer.send(b"".join(frame(RST_STREAM, 0, stream, struct.pack(">L", 8)) for stream in peer.open))
            peer.open.clear()
            peer.open_streams(CHALLENGE, 100)
        time.sleep(0.02)
    return crowd.end()


@flood("empty-data", "empty DATA frames without end")
def empty_data(ground):
    def write(peer):
        if not peer.open:
            peer.open_streams(CHALLENGE, 1)
        peer.send(b"".join(frame(DATA, 0, stream) for stream in peer.open) * 200)

    return repeat(ground, Crowd(ground, 4, ["127.0.0.2"]), write)
