"""Closes the sessions at ThingWorx of devices that are not trusted any more, as webhooks of Wardein tell of them.

close_sessions.py PORT CERTIFICATE KEY VERIFIER THINGWORX APP_KEY_FILE USER

PORT, CERTIFICATE, KEY and VERIFIER are those of webhook_receiver.py, beside which this is. THINGWORX is the platform, as in
https://thingworx.example; the file has an application key of a user who may invoke CloseEndpointSessions; USER is the grant's
template of user names, with {device}, and {tenant} if it has that.

It calls CloseEndpointSessions of the WebSocket communications subsystem, by ThingWorx's REST API. Where ThingWorx does not say how
many sessions it closed, the authority is asked to send the message again. When messages were lost, the sessions of all
custom authenticators are closed: each device that is trusted comes back with another token.
"""

import http.client
import json
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent.parent))
from webhook_receiver import serve  # noqa: E402

SERVICE = "/Thingworx/Subsystems/WSCommunicationsSubsystem/Services/CloseEndpointSessions"
# The authority waits 10 s for an answer to a message, which has up to 64 devices: four rounds of 2 s.
AT_ONCE, TIMEOUT = 16, 2.0
# ThingWorx closes 500 sessions by one call where the call does not say how many.
ALL = 1_000_000
MAX_ANSWER = 1 << 16


class NoRedirection(urllib.request.HTTPRedirectHandler):
    """A redirection would take the application key elsewhere, and the login form that it leads to is an answer of 200."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Closer:
    """Calls the service. What it raises is an OSError."""

    def __init__(self, thingworx: str, app_key: Path) -> None:
        parts = urlsplit(thingworx)
        is_here = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
        if not parts.hostname or not (parts.scheme == "https" or is_here):
            sys.exit(f"{thingworx}: the application key goes over https:// alone")
        self.url = thingworx.rstrip("/") + SERVICE
        self.app_key = app_key
        # Through a proxy, plain HTTP would show it the application key.
        direct = [urllib.request.ProxyHandler({})] if is_here else []
        self.opener = urllib.request.build_opener(NoRedirection, *direct)

    def close(self, whose: str, sessions: dict[str, Any]) -> None:
        headers = {"appKey": self.app_key.read_text().strip(), "Content-Type": "application/json", "Accept": "application/json"}
        request = urllib.request.Request(self.url, json.dumps(sessions).encode(), headers, method="POST")
        try:
            with self.opener.open(request, timeout=TIMEOUT) as answer:
                count = json.loads(answer.read(MAX_ANSWER))["rows"][0]["result"]
                if not isinstance(count, (int, float)):
                    raise ValueError
        except (http.client.HTTPException, ValueError, LookupError, TypeError) as error:
            raise OSError(f"ThingWorx does not say how many sessions it closed: {type(error).__name__}") from error
        print("closed", whose, flush=True)


def user_template(text: str) -> str:
    """Only what a message carries can be filled in, and a user of many devices is not that of the one that lost its trust."""
    rest = text.replace("{device}", "").replace("{tenant}", "")
    if "{device}" not in text or "{" in rest or "}" in rest:
        sys.exit(f"{text}: the user name has {{device}}, may have {{tenant}}, and no other placeholder")
    return text


def main(port: str, certificate: str, key: str, verifier: str, thingworx: str, app_key: str, user: str) -> None:
    closer, template, pool = Closer(thingworx, Path(app_key)), user_template(user), ThreadPoolExecutor(AT_ONCE)

    def take(message: Any) -> None:
        data = message["data"]
        if message["type"] == "verdicts.lost":
            closer.close("all", {"authenticationType": "OTHER", "maxItems": ALL})
        fallen = [device["deviceId"] for device in data.get("devices", []) if device["verdict"] != "VERDICT_TRUSTED"]
        users = [template.replace("{tenant}", data["tenant"]).replace("{device}", each) for each in fallen]
        # All are tried; then the first failure is raised.
        calls = [pool.submit(closer.close, each, {"userName": each}) for each in users]
        wait(calls)
        for closed in calls:
            closed.result()

    serve(int(port), certificate, key, verifier, take)


if __name__ == "__main__":
    main(*sys.argv[1:])
