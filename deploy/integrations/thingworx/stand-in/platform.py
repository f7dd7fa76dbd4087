"""A stand-in for ThingWorx's REST API: `platform.py PORT APP_KEY_FILE` takes CloseEndpointSessions in the documented form, and
nothing else. Its first three answers close nothing: 503, a redirection to a login form, and the form."""

import http.server
import json
import sys
from pathlib import Path

port, app_key = int(sys.argv[1]), Path(sys.argv[2]).read_text().strip()
SERVICE = "/Thingworx/Subsystems/WSCommunicationsSubsystem/Services/CloseEndpointSessions"
# By their base types.
PARAMETERS = {"userName": str, "appKeyName": str, "endpointId": str, "authenticationType": str, "maxItems": int}
unwell = [503, 302, 200]


class Platform(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers["appKey"] != app_key:
            return self.send_error(401)
        if self.path != SERVICE or {self.headers["Content-Type"], self.headers["Accept"]} != {"application/json"}:
            return self.send_error(404)
        sessions = json.loads(body)
        if not sessions or not all(name in PARAMETERS and type(value) is PARAMETERS[name] for name, value in sessions.items()):
            return self.send_error(400)
        if unwell:
            return self.form(unwell.pop(0))
        print("close", json.dumps(sessions), flush=True)
        self.answer(200, "application/json", json.dumps({"dataShape": {"fieldDefinitions": {}}, "rows": [{"result": 1.0}]}))

    def do_GET(self) -> None:
        print("followed", flush=True)
        self.form(200)

    def form(self, status: int) -> None:
        self.answer(status, "text/html", "<form>log in</form>")

    def answer(self, status: int, kind: str, text: str) -> None:
        self.send_response(status)
        if status == 302:
            self.send_header("location", "/Thingworx/FormLogin")
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    # Of 16 calls at once some would be reset by the default, which is 5.
    request_queue_size = 64


Server(("127.0.0.1", port), Platform).serve_forever()
