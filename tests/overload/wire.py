"""HTTP/2 as an attacker writes it: frames by hand, over TLS, without the good manners of a library.

The sections named are of RFC 9113. Only header compression is a library's (hpack); nothing here is Wardein's.
"""

import collections
import selectors
import socket
import ssl
import struct
from dataclasses import dataclass, field

import hpack

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
INITIAL_WINDOW_SIZE = 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# The window of a stream and of a connection at their start (6.9.2).
WINDOW = 65_535
# The largest payload that every peer takes (4.2).
FRAME = 16_384


def frame(kind, flags, stream, payload=b""):
    """4.1."""
    return struct.pack(">HBBBL", len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HL", name, value) for name, value in pairs))


def call_headers(path, *further):
    """The header block of a gRPC call. It uses no dynamic table, so that it is the same for every stream of every connection."""
    lines = [
        (":method", "POST"), (":scheme", "https"), (":path", path), (":authority", "localhost"),
        ("te", "trailers"), ("content-type", "application/grpc"), *further,
    ]  # fmt: skip
    return hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*line) for line in lines])


def message(body, announced=None):
    """A gRPC message: a flag and a length before the body. The length may be a lie."""
    return struct.pack(">BL", 0, len(body) if announced is None else announced) + body


def text(number, value):
    """A text of fewer than 128 bytes as field `number` of a protobuf message."""
    return bytes([number << 3 | 2, len(value)]) + value.encode()


# A whole request for a challenge: the smallest honest call that needs no certificate.
CHALLENGE = message(text(1, "beta") + text(2, "nobody"))


@dataclass(frozen=True)
class Target:
    """Where the authority answers."""

    grpc: tuple[str, int]
    http: tuple[str, int]


def tcp(address, source, patience=5):
    connection = socket.create_connection(address, timeout=patience, source_address=(source, 0))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def tls_context(identity=None, alpn="h2"):
    """An attacker does not care whom it talks to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([alpn])
    if identity:
        context.load_cert_chain(identity / "operator.pem", identity / "operator.key")
    return context


def tls(address, source, context):
    return context.wrap_socket(tcp(address, source), server_hostname="localhost")


@dataclass(eq=False)
class Peer:
    """One HTTP/2 connection, which reads only when it is told to."""

    connection: ssl.SSLSocket
    initial_window: int | None = None
    next_stream: int = 1
    # Streams that the server has not ended.
    open: set[int] = field(default_factory=set)
    seen: collections.Counter = field(default_factory=collections.Counter)
    window: int = WINDOW
    windows: dict[int, int] = field(default_factory=dict)
    # What the server gives a new stream.
    stream_window: int = WINDOW
    alive: bool = True
    received: bytes = b""

    def __post_init__(self):
        pairs = [] if self.initial_window is None else [(INITIAL_WINDOW_SIZE, self.initial_window)]
        self.send(PREFACE + settings(*pairs))

    @classmethod
    def connect(cls, target, source, context, **how):
        return cls(tls(target.grpc, source, context), **how)

    def send(self, data):
        """Whether the server took it. One that takes nothing for two seconds has stopped reading, and is left."""
        if not self.alive:
            return False
        try:
            self.connection.settimeout(2)
            self.connection.sendall(data)
        except OSError:
            self.close()
        return self.alive

    def open_streams(self, block, count, data=b"", flags=0):
        """Begins calls, at once. Returns their streams."""
        streams = range(self.next_stream, self.next_stream + 2 * count, 2)
        self.next_stream += 2 * count
        parts = []
        for stream in streams:
            parts.append(frame(HEADERS, END_HEADERS, stream, block))
            if data or flags:
                parts.append(frame(DATA, flags, stream, data))
            self.windows[stream] = self.stream_window - len(data)
        self.window -= len(data) * count
        self.open.update(streams)
        self.send(b"".join(parts))
        return streams

    def send_body(self, stream, data):
        """As much of it as both windows let through; returns how much that was."""
        size = min(len(data), FRAME, self.window, self.windows.get(stream, 0))
        if size <= 0 or not self.send(frame(DATA, 0, stream, data[:size])):
            return 0
        self.window -= size
        self.windows[stream] -= size
        return size

    def read(self, gives_window=True):
        """Takes what is there, and answers it as a good peer would, so that the flood is all that is wrong with it."""
        if not self.alive:
            return
        answers = []
        try:
            self.connection.settimeout(0)
            while True:
                part = self.connection.recv(1 << 16)
                if not part:
                    self.close()
                    break
                self.received += part
        except (ssl.SSLWantReadError, BlockingIOError):
            pass
        except OSError:
            self.close()
        place = 0
        while len(self.received) - place >= 9:
            high, low, kind, flags, stream = struct.unpack_from(">HBBBL", self.received, place)
            size = high << 8 | low
            if len(self.received) - place < 9 + size:
                break
            answers.append(self._take(kind, flags, stream, self.received[place + 9 : place + 9 + size], gives_window))
            place += 9 + size
        self.received = self.received[place:]
        answer = b"".join(answers)
        if answer:
            self.send(answer)

    def _take(self, kind, flags, stream, payload, gives_window):
        self.seen[kind] += 1
        if kind == SETTINGS and not flags & ACK:
            for name, value in struct.iter_unpack(">HL", payload):
                if name == INITIAL_WINDOW_SIZE:
                    moved, self.stream_window = value - self.stream_window, value
                    self.windows = {stream: window + moved for stream, window in self.windows.items()}
            return frame(SETTINGS, ACK, 0)
        if kind == PING and not flags & ACK:
            return frame(PING, ACK, 0, payload)
        if kind == WINDOW_UPDATE:
            (more,) = struct.unpack(">L", payload)
            if stream == 0:
                self.window += more
            elif stream in self.windows:
                self.windows[stream] += more
        if kind == GOAWAY:
            self.seen["goaway"] += 1
        if kind == RST_STREAM or (kind in (DATA, HEADERS) and flags & END_STREAM):
            self.open.discard(stream)
            self.windows.pop(stream, None)
        if kind == DATA and payload and gives_window:
            return frame(WINDOW_UPDATE, 0, 0, struct.pack(">L", len(payload)))
        return b""

    def close(self):
        if self.alive:
            self.alive = False
            self.open.clear()
            try:
                self.connection.close()
            except OSError:
                pass


def still_open(sockets):
    """Those of the sockets that the other end has not closed; whatever they say is thrown away."""
    living = []
    for each in sockets:
        try:
            each.settimeout(0)
            while each.recv(1 << 14):
                pass
        except (ssl.SSLWantReadError, BlockingIOError):
            living.append(each)
        except OSError:
            pass
    return living


def readable(sockets, patience):
    """Waits until one of them has something to say."""
    with selectors.DefaultSelector() as selector:
        for each in sockets:
            selector.register(each, selectors.EVENT_READ)
        return selector.select(patience)
