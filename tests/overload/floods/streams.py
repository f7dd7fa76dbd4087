"""Streams that stay open, and answers that nobody takes."""

import struct
import time

from floods.flood import Crowd, flood, keep_open
from wire import END_STREAM, RST_STREAM, WINDOW_UPDATE, call_headers, frame, message

WATCH = call_headers("/grpc.health.v1.Health/Watch")
REFLECTION = call_headers("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
BUNDLE = call_headers("/wardein.v1.CertificateService/GetTrustBundle")
ENROLL = call_headers("/wardein.v1.ProvisioningService/EnrollStream")
# Streams that anybody may keep open on one connection.
FEW = 16


def few_stay(seen, large):
    most = seen["most open on one"]
    return f"{most} streams are open on one connection" if most > FEW else None


@flood("health-watch", "11,520 watches of health, from one address", complaint=few_stay)
def health_watch(ground):
    crowd = Crowd(ground, ground.some(45, 8), ["127.0.0.2"])
    while ground.goes_on():
        for peer in crowd.living():
            missing = 256 - len(peer.open)
            if missing > 0:
                peer.open_streams(WATCH, missing, message(b""), END_STREAM)
        time.sleep(0.02)
    return crowd.end()


@flood("reflection-streams", "11,520 streams of reflection on which nothing is asked, from one address", complaint=few_stay)
def reflection_streams(ground):
    return keep_open(ground, Crowd(ground, ground.some(45, 8), ["127.0.0.2"]), REFLECTION, 256)


@flood("zero-window", "4,000 calls whose answers have no window")
def zero_window(ground):
    crowd = Crowd(ground, ground.some(16, 4), ["127.0.0.2", "127.0.0.3"], initial_window=0)
    while ground.goes_on():
        for peer in crowd.living():
            missing = 250 - len(peer.open)
            if missing > 0:
                peer.open_streams(BUNDLE, missing, message(b""), END_STREAM)
        time.sleep(0.02)
    return crowd.end()


@flood("slow-reader", "calls without end on 64 connections whose answers are never read")
def slow_reader(ground):
    crowd = Crowd(ground, ground.some(64, 16), ["127.0.0.2", "127.0.0.3"], initial_window=(1 << 31) - 1)
    all_that_fits = frame(WINDOW_UPDATE, 0, 0, struct.pack(">L", (1 << 31) - 1 - 65_535))
    while ground.goes_on():
        for peer in crowd.living(reads=False):
            if peer.next_stream == 1:
                peer.send(all_that_fits)
            if peer.next_stream < 2 * 10_000:
                peer.open_streams(BUNDLE, 50, message(b""), END_STREAM)
        time.sleep(0.005)
    return crowd.end()


@flood("station-zero-window", "250 streams of a station whose results have no window", is_on_record=True)
def station_zero_window(ground):
    crowd = Crowd(ground, 1, ["127.0.0.2"], identity="alpha-station", initial_window=0)
    # Of no device: each is answered by a failure.
    empty = message(b"\x08\x01\x12\x00")
    while ground.goes_on():
        for peer in crowd.living():
            if peer.next_stream == 1:
                peer.open_streams(ENROLL, 250, empty)
            # And on each more of them, as far as the authority takes them.
            for stream in tuple(peer.open):
                peer.send_body(stream, empty * 100)
        time.sleep(0.1)
    return crowd.end()


@flood("trickle", "watches of health that are taken and dropped, 250 at a time")
def trickle(ground):
    crowd = Crowd(ground, ground.some(8, 2), ["127.0.0.2"])
    while ground.goes_on():
        for peer in crowd.living():
            streams = peer.open_streams(WATCH, 100, message(b""), END_STREAM)
            peer.read()
            peer.send(b"".join(frame(RST_STREAM, 0, stream, bytes(4)) for stream in streams))
            peer.open.clear()
        time.sleep(0.05)
    return crowd.end()
