"""The HTTP port, where health is asked."""

import socket
import time
from collections import Counter

from floods.flood import flood
from wire import still_open, tcp

QUESTION = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def keep(ground, count, says):
    """So many connections, each of which says its part every second and is replaced when it is closed."""
    seen, held = Counter(), []
    while ground.goes_on():
        held = still_open(held)
        for _ in range(count - len(held)):
            if not ground.goes_on():
                break
            try:
                held.append(tcp(ground.target.http, "127.0.0.2", patience=1))
                seen["connections"] += 1
            except OSError:
                seen["connections refused"] += 1
        for each in held:
            try:
                each.settimeout(0.2)
                each.sendall(says)
            except OSError:
                pass
        time.sleep(min(0.2, ground.left()))
    for each in held:
        each.close()
    return seen


@flood("http-keep-alive", "200 connections to the HTTP port that ask again and again")
def http_keep_alive(ground):
    return keep(ground, 200, QUESTION)


@flood("http-silent", "200 connections to the HTTP port that never end their question")
def http_silent(ground):
    return keep(ground, 200, b"")


@flood("http-pipelined", "questions without end whose answers are never read")
def http_pipelined(ground):
    seen, held = Counter(), []
    while ground.goes_on():
        while len(held) < 32 and ground.goes_on():
            try:
                connection = tcp(ground.target.http, "127.0.0.2", patience=1)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                held.append(connection)
                seen["connections"] += 1
            except OSError:
                seen["connections refused"] += 1
        for each in tuple(held):
            try:
                each.settimeout(0)
                each.sendall(QUESTION * 50)
            except BlockingIOError:
                pass
            except OSError:
                held.remove(each)
        time.sleep(0.01)
    for each in held:
        each.close()
    return seen
