"""`lost.py PORT CA SECRET_FILE`: posts to a receiver that messages were lost, as the authority does after it was restored.
Another signature comes first, which is to be refused."""

import datetime
import http.client
import json
import ssl
import sys
from pathlib import Path

from standardwebhooks import Webhook

port, ca, secret = sys.argv[1:]
now = datetime.datetime.now(datetime.timezone.utc)
body = json.dumps({"type": "verdicts.lost", "timestamp": now.isoformat(), "data": {"tenant": "klinik"}})
signature = Webhook(Path(secret).read_text().strip()).sign("lost-1", now, body)


def post(signature: str) -> int:
    connection = http.client.HTTPSConnection("localhost", int(port), context=ssl.create_default_context(cafile=ca), timeout=10)
    headers = {"webhook-id": "lost-1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    connection.request("POST", "/hook", body, headers)
    return connection.getresponse().status


print(post("v1,AAAA"), post(signature))
