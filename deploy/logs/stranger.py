"""A server whose certificate is good, and whom nobody pinned: stranger.py PORT CERTIFICATE KEY FILE.

It answers whatever comes, and FILE has each byte that a client sent it within TLS. A line of `connected` says that one came at all.
"""

import socket
import ssl
import sys

port, certificate, key, file = int(sys.argv[1]), *sys.argv[2:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
with socket.create_server(("127.0.0.1", port)) as listener:
    while True:
        plain, _ = listener.accept()
        plain.settimeout(5)
        with open(f"{file}.connected", "a") as said:
            said.write("connected\n")
        try:
            with context.wrap_socket(plain, server_side=True) as connection, open(file, "ab", buffering=0) as came:
                while data := connection.recv(65536):
                    came.write(data)
                    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        except OSError:
            pass
