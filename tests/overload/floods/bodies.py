"""Bodies that are announced, held back, or sent a byte at a time."""

import time

from floods.flood import Crowd, flood, keep_open
from wire import call_headers, message

CHALLENGE = call_headers("/wardein.v1.DeviceService/GetChallenge")
PROVE = call_headers("/wardein.v1.DeviceService/Prove")
REFLECTION = call_headers("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")


@flood("announced-body", "5 bytes of body on each of 4,000 streams: a message of 512 KiB is announced and never sent")
def announced_body(ground):
    crowd = Crowd(ground, ground.some(20, 10), ["127.0.0.2"])
    return keep_open(ground, crowd, CHALLENGE, 200, message(b"", announced=(1 << 19) - 1))


@flood("announced-reflection", "the same by reflection, 4 MiB announced, on 400 streams")
def announced_reflection(ground):
    crowd = Crowd(ground, 2, ["127.0.0.2"])
    return keep_open(ground, crowd, REFLECTION, 200, message(b"", announced=(1 << 22) - 1))


@flood("headers-only", "calls of headers alone, as many as two addresses may begin", seconds=20)
def headers_only(ground):
    crowd = Crowd(ground, ground.some(160, 20), ["127.0.0.2", "127.0.0.3"])
    return keep_open(ground, crowd, CHALLENGE, 250)


@flood("sent-body", "bodies of every size that is really sent, but for the last byte, from four addresses")
def sent_body(ground):
    crowd = Crowd(ground, ground.some(64, 8), [f"127.0.0.{last}" for last in range(2, 6)])
    sizes = (900, 15_000, 500_000)
    while ground.goes_on():
        for peer in crowd.living():
            for size in sizes:
                peer.open_streams(PROVE, max(0, 80 - len(peer.open) // len(sizes)), message(b"", announced=size))
            for stream in tuple(peer.open):
                # The size of a stream follows from its number, so that none has to be remembered; none is ever completed.
                while peer.send_body(stream, bytes(4_096)) and ground.goes_on() and size_left(peer, stream, sizes):
                    pass
        time.sleep(0.02)
    return crowd.end()


def size_left(peer, stream, sizes):
    """Bytes of this stream's message that were not sent; a window that grew makes no message longer."""
    sent = peer.sent = getattr(peer, "sent", {})
    sent[stream] = sent.get(stream, 0) + 4_096
    return sizes[stream // 2 // 80 % len(sizes)] - sent[stream] > 4_096


@flood("slow-writer", "4,000 bodies, a byte a second each", seconds=15, short=2)
def slow_writer(ground):
    crowd = Crowd(ground, ground.some(16, 4), ["127.0.0.2", "127.0.0.3"])
    while ground.goes_on():
        for peer in crowd.living():
            peer.open_streams(PROVE, 250 - len(peer.open), message(b"", announced=8_000))
            for stream in tuple(peer.open):
                peer.send_body(stream, b"x")
        time.sleep(min(1, ground.left()))
    return crowd.end()
