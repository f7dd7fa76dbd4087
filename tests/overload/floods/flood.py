"""What a flood is, where it takes place, and the connections that it keeps up."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wire import END_STREAM, RST_STREAM, Peer, Target, tls_context

FLOODS = {}


@dataclass(frozen=True)
class Flood:
    name: str
    # What it does, for the one who reads the table.
    what: str
    run: Callable
    # How long it goes on, in the long form and in the short one.
    seconds: float
    short: float
    # Processes that take part.
    workers: int
    # Nobody reads the authority's log meanwhile.
    stalls_log: bool
    # Its calls are an operator's to make, and each is on record.
    is_on_record: bool
    # How many times as long operators may wait as beside the control.
    longer: float
    # What must not have come of it, by what it counted: a complaint, or nothing.
    complaint: Callable


def flood(name, what, *, seconds=10, short=1, workers=1, stalls_log=False, is_on_record=False, longer=2.0, complaint=None):
    def register(run):
        FLOODS[name] = Flood(name, what, run, seconds, short, workers, stalls_log, is_on_record, longer, complaint or none)
        return run

    return register


def none(seen, large):
    return None


@dataclass(frozen=True)
class Ground:
    """Where one worker's part of a flood takes place."""

    target: Target
    # Where the operators' identities are.
    house: Path
    until: float
    worker: int
    workers: int
    # Whether this is the long form.
    large: bool
    # How much of a processor the control is to use.
    share: float = 0.0

    def goes_on(self):
        return time.monotonic() < self.until

    def left(self):
        return max(0.0, self.until - time.monotonic())

    def some(self, large, short):
        """This worker's part of so many."""
        return -(-(large if self.large else short) // self.workers)

    def number(self):
        """One that no other run of a flood has."""
        return time.monotonic_ns()


class Crowd:
    """So many connections, from these addresses in turn; one that the authority closes is replaced."""

    def __init__(self, ground, count, sources, identity=None, **how):
        self.ground, self.sources, self.how = ground, sources, how
        self.context = tls_context(ground.house / identity if identity else None)
        self.places = [None] * count
        self.not_before = [0.0] * count
        self.seen = Counter()

    def living(self, reads=True):
        """Each connection that is there, after what it said was read."""
        for place, peer in enumerate(self.places):
            if not self.ground.goes_on():
                return
            if peer is None or not peer.alive:
                peer = self._replace(place, peer)
            elif reads:
                peer.read()
            if peer and peer.alive:
                yield peer

    def _replace(self, place, gone):
        if gone:
            self._count(gone)
            self.places[place] = None
        if time.monotonic() < self.not_before[place]:
            return None
        self.not_before[place] = time.monotonic() + 0.1
        try:
            source = self.sources[place % len(self.sources)]
            self.places[place] = Peer.connect(self.ground.target, source, self.context, **self.how)
            self.seen["connections"] += 1
        except OSError:
            self.seen["connections refused"] += 1
        return self.places[place]

    def _count(self, peer):
        self.seen["streams"] += peer.next_stream // 2
        self.seen["reset"] += peer.seen[RST_STREAM]
        self.seen["goaway"] += peer.seen["goaway"]

    def end(self):
        """Closes all of them, and says what became of them."""
        for peer in filter(None, self.places):
            peer.read()
            self.seen["open at the end"] += len(peer.open)
            self.seen["most open on one"] = max(self.seen["most open on one"], len(peer.open))
            self._count(peer)
            peer.close()
        return self.seen


def keep_open(ground, crowd, block, count, data=b""):
    """Keeps so many calls open on each connection, beginning another for each that the authority ends."""
    while ground.goes_on():
        for peer in crowd.living():
            missing = count - len(peer.open)
            if missing > 0:
                peer.open_streams(block, missing, data)
        time.sleep(0.02)
    return crowd.end()


def repeat(ground, crowd, write):
    """Has each connection write the same again and again, as fast as it is taken."""
    while ground.goes_on():
        for peer in crowd.living():
            write(peer)
    return crowd.end()


def call(crowd, block, data, count):
    """Keeps so many whole calls in hand on each connection."""
    while crowd.ground.goes_on():
        for peer in crowd.living():
            missing = count - len(peer.open)
            if missing > count // 4:
                peer.open_streams(block, missing, data, END_STREAM)
    return crowd.end()
