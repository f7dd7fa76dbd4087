"""A receiver of webhooks, by the standard library and PyPI's standardwebhooks: it verifies each message, and prints its devices.

webhook_receiver.py PORT CERTIFICATE KEY SECRET_FILE    the last as `wardein webhook put` wrote it
"""

import http.server
import ssl
import sys
from pathlib import Path

from standardwebhooks import Webhook, WebhookVerificationError

port, certificate, key, secret = sys.argv[1:]


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        if length > 1 << 20:
            return self.send_error(413)
        body = self.rfile.read(length)
        try:
            # Read each time: the secret is written once the webhook is set.
            message = Webhook(Path(secret).read_text().strip()).verify(body, dict(self.headers))
        except WebhookVerificationError as error:
            print("refused:", error, flush=True)
            return self.send_error(401)
        devices = [f"{device['deviceId']} {device['verdict']}" for device in message["data"].get("devices", [])]
        print(message["type"], message["data"]["tenant"], *devices, flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Receiver)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.minimum_version = ssl.TLSVersion.TLSv1_3
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
