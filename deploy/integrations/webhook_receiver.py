"""A receiver of webhooks, by the standard library: it verifies each message, and prints its devices.

webhook_receiver.py PORT CERTIFICATE KEY SECRET_FILE    by the secret that `wardein webhook put` wrote, and PyPI's standardwebhooks
webhook_receiver.py PORT CERTIFICATE KEY whpk_...       by the public key that `wardein webhook list` shows, and PyPI's cryptography: nothing
                                                        that this receiver has can sign
"""

import base64
import http.server
import json
import ssl
import sys
import time
from pathlib import Path
from typing import Any

port, certificate, key, verifier = sys.argv[1:]


def by_secret(body: bytes, headers: dict[str, str]) -> Any:
    from standardwebhooks import Webhook, WebhookVerificationError

    try:
        # Read each time: the secret is written once the webhook is set.
        return Webhook(Path(verifier).read_text().strip()).verify(body, headers)
    except WebhookVerificationError as error:
        raise ValueError(error) from error


def by_public_key(body: bytes, headers: dict[str, str]) -> Any:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(verifier.removeprefix("whpk_"), validate=True))
    sent, at = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(time.time() - int(at)) > 300:
        raise ValueError("the message is minutes old, or of a time to come")
    signed = b".".join([sent.encode(), at.encode(), body])
    for signature in headers["webhook-signature"].split(" "):
        version, _, text = signature.partition(",")
        if version == "v1a":
            try:
                public.verify(base64.b64decode(text, validate=True), signed)
                return json.loads(body)
            except InvalidSignature:
                pass
    raise ValueError("no signature is by the key")


verify = by_public_key if verifier.startswith("whpk_") else by_secret


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        if length > 1 << 20:
            return self.send_error(413)
        body = self.rfile.read(length)
        try:
            message = verify(body, {name.lower(): value for name, value in self.headers.items()})
        except (ValueError, KeyError) as error:
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
