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
from collections.abc import Callable
from pathlib import Path
from typing import Any


def by_secret(secret: str, body: bytes, headers: dict[str, str]) -> Any:
    from standardwebhooks import Webhook, WebhookVerificationError

    try:
        # Read each time: the secret is written once the webhook is set.
        return Webhook(Path(secret).read_text().strip()).verify(body, headers)
    except WebhookVerificationError as error:
        raise ValueError(error) from error


def by_public_key(key: str, body: bytes, headers: dict[str, str]) -> Any:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix("whpk_"), validate=True))
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


def serve(port: int, certificate: str, key: str, verifier: str, take: Callable[[Any], None]) -> None:
    """Hands each message that is verified to `take`. If that fails with OSError, the authority is asked to send the message again."""
    verify = by_public_key if verifier.startswith("whpk_") else by_secret

    class Receiver(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def do_POST(self) -> None:
            length = self.headers.get("content-length", "")
            if not (length.isascii() and length.isdigit() and len(length) <= 7 and int(length) <= 1 << 20):
                return self.send_error(413)
            body = self.rfile.read(int(length))
            try:
                message = verify(verifier, body, {name.lower(): value for name, value in self.headers.items()})
            except (ValueError, KeyError) as error:
                print("refused:", error, flush=True)
                return self.send_error(401)
            try:
                take(message)
            except OSError as error:
                print("to be sent again:", error, flush=True)
                return self.send_error(503)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate, key)
    # Each handshake is on the thread of its connection: one that does not come holds nobody up.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


def show(message: Any) -> None:
    devices = [f"{device['deviceId']} {device['verdict']}" for device in message["data"].get("devices", [])]
    print(message["type"], message["data"]["tenant"], *devices, flush=True)


if __name__ == "__main__":
    port, certificate, key, verifier = sys.argv[1:]
    serve(int(port), certificate, key, verifier, show)
