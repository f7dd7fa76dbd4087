"""Honest load: ten times what the authority takes, and what a flood's effect is measured against."""

import time
from collections import Counter

from floods.flood import Crowd, call, flood
from wire import CHALLENGE, END_STREAM, call_headers

BLOCK = call_headers("/wardein.v1.DeviceService/GetChallenge")
# What the limits let one address do for good, and a little less: calls a second.
ALLOWED = 900


@flood("ten-times", "honest calls by many more devices than it can serve, from 32 addresses", workers=2)
def ten_times(ground):
    sources = [f"127.0.{1 + ground.worker}.{last}" for last in range(1, 17)]
    return call(Crowd(ground, 32, sources), BLOCK, CHALLENGE, 250)


def control(ground):
    """Calls at the rate that one address is allowed, by a process that takes as much of a processor as the flood's did. So the
    operators beside it wait for a processor as they did beside the flood, and what they waited longer there is the flood's doing.
    """
    crowd, sent, begun = Crowd(ground, 2, ["127.0.0.9"]), 0, time.monotonic()
    processor = time.process_time()
    while ground.goes_on():
        for peer in crowd.living():
            due = int((time.monotonic() - begun) * ALLOWED / ground.workers) - sent
            if due > 0:
                peer.open_streams(BLOCK, min(due, 50), CHALLENGE, END_STREAM)
                sent += min(due, 50)
        # The rest of the share, in slices as short as a flood's own.
        while time.process_time() - processor < ground.share * (time.monotonic() - begun) and ground.goes_on():
            sum(range(500))
        time.sleep(0.002)
    return Counter(calls=sent)
