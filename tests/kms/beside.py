"""What stands beside an authority in deploy/kms.sh: AWS's side, as far as moto and 100 lines have it.

    beside.py moto PORT FOLDER                  moto with keys, users and a role; their names and credentials are in FOLDER before it judges calls
    beside.py pass PORT TO [CERTIFICATE KEY]    passes connections on to port TO of this machine; over TLS, with a certificate
    beside.py roles PORT FOLDER                 serves the credentials in FOLDER/role.json as ECS, EKS and the metadata service of an instance do
"""

import http.server
import json
import os
import pathlib
import re
import socket
import ssl
import sys
import threading


class Judging:
    """moto, which judges each signed call by its signature and its caller's rights once `judges` is set. Where it refuses one, it says so in the form
    of IAM, and here in that of KMS. What is not signed, as a web identity that is exchanged, it could not judge."""

    def __init__(self, application):
        self.application, self.judges = application, False

    def __call__(self, environ, start_response):
        from moto import settings

        is_judged = self.judges and "HTTP_AUTHORIZATION" in environ
        settings.INITIAL_NO_AUTH_ACTION_COUNT = 0 if is_judged else float("inf")
        if "HTTP_X_AMZ_TARGET" not in environ:
            return self.application(environ, start_response)
        said = []
        body = b"".join(self.application(environ, lambda *status: said.append(status)))
        status, headers = said[0][:2]
        code = re.search(rb"<Code>(.*)</Code>.*<Message>(.*)</Message>", body, re.DOTALL)
        if status.startswith("403") and code:
            kind = {b"AccessDenied": "AccessDeniedException", b"SignatureDoesNotMatch": "InvalidSignatureException"}
            kind = kind.get(code[1], "UnrecognizedClientException")
            body = json.dumps({"__type": kind, "message": code[2].decode()}).encode()
            status, headers = "400 Bad Request", [("content-type", "application/x-amz-json-1.1"), ("content-length", str(len(body)))]
        start_response(status, headers)
        return [body]


def moto(port, folder):
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    application = Judging(DomainDispatcherApplication(create_backend_app))
    server = threading.Thread(target=make_server("127.0.0.1", int(port), application).serve_forever)
    server.start()
    found(f"http://127.0.0.1:{port}", pathlib.Path(folder))
    application.judges = True
    (pathlib.Path(folder) / "ready").touch()
    server.join()


def found(url, folder):
    import boto3

    root = {"region_name": "eu-central-1", "aws_access_key_id": "AKIAFOUNDER", "aws_secret_access_key": "founder", "endpoint_url": url}
    kms, iam, sts = (boto3.client(name, **root) for name in ("kms", "iam", "sts"))
    keys = [kms.create_key(Description="wardein")["KeyMetadata"]["Arn"] for _ in range(2)]
    (folder / "keys").write_text("".join(key + "\n" for key in keys))
    statement = {"Effect": "Allow", "Action": ["kms:Encrypt", "kms:Decrypt"], "Resource": "*"}
    allowed = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    for user in ("authority", "stranger"):
        iam.create_user(UserName=user)
        if user == "authority":
            iam.put_user_policy(UserName=user, PolicyName="kms", PolicyDocument=allowed)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        write_private(folder / user, key["AccessKeyId"], key["SecretAccessKey"])
        if user == "authority":
            write_private(folder / "wrong", key["AccessKeyId"], "0" * 40)
    trust = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]})
    role = iam.create_role(RoleName="task", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(RoleName="task", PolicyName="kms", PolicyDocument=allowed)
    given = sts.assume_role(RoleArn=role, RoleSessionName="task")["Credentials"]
    shown = {"Code": "Success", "AccessKeyId": given["AccessKeyId"], "SecretAccessKey": given["SecretAccessKey"]}
    shown |= {"Token": given["SessionToken"], "Expiration": given["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ")}
    (folder / "role.json").write_text(json.dumps(shown))
    (folder / "role").write_text(role)


def write_private(path, key_id, secret):
    text = f"[default]\naws_access_key_id = {key_id}\naws_secret_access_key = {secret}\n"
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    path.write_text(text)


def pass_on(port, to, *pair):
    listener = socket.create_server(("127.0.0.1", int(port)))
    if pair:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        listener = context.wrap_socket(listener, server_side=True)
    while True:
        try:
            near, _ = listener.accept()
        except (ssl.SSLError, ConnectionError):
            continue
        far = socket.create_connection(("127.0.0.1", int(to)))
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=copy, args=(source, sink), daemon=True).start()


def copy(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        end.close()


class Roles(http.server.BaseHTTPRequestHandler):
    """Credentials at /task for who has the token "of the pod", and by the metadata service's version 2 for who asked for its token."""

    def do_PUT(self):
        asked = self.path == "/latest/api/token" and self.headers["x-aws-ec2-metadata-token-ttl-seconds"]
        self.say(200 if asked else 403, "token of the metadata service")

    def do_GET(self):
        roles = "/latest/meta-data/iam/security-credentials/"
        is_instance = self.headers["x-aws-ec2-metadata-token"] == "token of the metadata service"
        is_pod = self.path == "/task" and self.headers["authorization"] == "of the pod"
        if self.path == roles and is_instance:
            self.say(200, "task\n")
        elif is_pod or (self.path == roles + "task" and is_instance):
            self.say(200, (self.server.folder / "role.json").read_text())
        else:
            self.say(401, "not for you")

    def say(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def roles(port, folder):
    server = http.server.HTTPServer(("127.0.0.1", int(port)), Roles)
    server.folder = pathlib.Path(folder)
    server.serve_forever()


if __name__ == "__main__":
    {"moto": moto, "pass": pass_on, "roles": roles}[sys.argv[1]](*sys.argv[2:])
