"""The methods of devices over HTTP/1.1, on the port of gRPC."""

import time
from collections import Counter

from floods.flood import flood
from wire import still_open, tls, tls_context


def framed(text):
    return len(text).to_bytes(4, "big") + text.encode()


def head(length):
    lines = ("POST /v1/device/prove HTTP/1.1", "host: x", "content-type: application/octet-stream", f"content-length: {length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


CHALLENGE = b"\x09" + framed("beta") + framed("nobody")
# As small a request as there is, to be refused or answered.
ASK = head(len(CHALLENGE)).replace(b"prove", b"challenge") + CHALLENGE


def keep(ground, count, says, pause):
    """So many connections, each of which says its part again and again and reads nothing."""
    seen, held, context = Counter(), [], tls_context(alpn="http/1.1")
    while ground.goes_on():
        held = still_open(held)
        for number in range(count - len(held)):
            if not ground.goes_on():
                break
            try:
                held.append(tls(ground.target.grpc, f"127.0.0.{2 + number % 2}", context))
                seen["connections"] += 1
            except OSError:
                seen["connections refused"] += 1
        for each in held:
            try:
                each.settimeout(0.05)
                each.sendall(says)
                seen["sent"] += 1
            except OSError:
                pass
        time.sleep(min(pause, ground.left()))
    for each in held:
        each.close()
    return seen


@flood("post-pipelined", "POSTs for challenges without end, ahead of their answers, on 32 connections")
def post_pipelined(ground):
    return keep(ground, ground.some(32, 8), ASK * 50, 0)


@flood("post-slow", "1,000 POSTs whose bodies of 16 KiB come by the byte")
def post_slow(ground):
    # Each connection begins one and goes on with a byte of it: the head is one more byte of the body the next time.
    return keep(ground, ground.some(1_000, 100), head(16_384) + b"x", 1)


@flood("post-heads", "1,000 heads that never end")
def post_heads(ground):
    return keep(ground, ground.some(1_000, 100), b"POST /v1/device/prove HTTP/1.1\r\nx: " + b"x" * 100, 1)
