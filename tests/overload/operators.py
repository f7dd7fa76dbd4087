"""Calls as operators make them: grpcio, and stubs that deploy/overload.sh generates from proto/."""

import json
import subprocess

import grpc
from wardein.v1 import (
    admin_pb2, admin_pb2_grpc, audit_pb2, audit_pb2_grpc, device_pb2, device_pb2_grpc, provisioning_pb2,
    provisioning_pb2_grpc, trust_pb2, trust_pb2_grpc,
)  # fmt: skip

# The uncompressed base point of P-256: a share as good as any, for a device that will never prove anything.
SHARE = bytes.fromhex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)


def channel(directory, identity=None):
    """A connection of its own to the authority, as the operator whose identity is in that directory, or as nobody."""
    place = identity or directory
    roots = (place / "infrastructure.pem").read_bytes()
    credentials = grpc.ssl_channel_credentials(roots)
    if identity:
        key, certificate = (identity / "operator.key").read_bytes(), (identity / "operator.pem").read_bytes()
        credentials = grpc.ssl_channel_credentials(roots, key, certificate)
    endpoint = json.loads((place / "operator.json").read_text())["endpoint"].removeprefix("https://")
    # The authority is on this machine: no proxy. Without a pool of its own, channels of one identity share a connection.
    options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    return grpc.secure_channel(endpoint, credentials, options)


def trust(channel):
    return trust_pb2_grpc.TrustServiceStub(channel)


def device(channel):
    return device_pb2_grpc.DeviceServiceStub(channel)


def provisioning(channel):
    return provisioning_pb2_grpc.ProvisioningServiceStub(channel)


def audit(channel):
    return audit_pb2_grpc.AuditServiceStub(channel)


def admin(channel):
    return admin_pb2_grpc.AdminServiceStub(channel)


def check(device_id="nobody"):
    return trust_pb2.CheckRequest(device_id=device_id)


def challenge(device_id="nobody"):
    return device_pb2.GetChallengeRequest(tenant="beta", device_id=device_id)


def entries(size=1_000, **further):
    return audit_pb2.ListEntriesRequest(page_size=size, **further)


def status():
    return admin_pb2.GetStatusRequest()


def enrollment(device_id, names=()):
    attributes = [provisioning_pb2.Attribute(name=name, value=b"1") for name in names]
    return provisioning_pb2.EnrollRequest(
        device_id=device_id, suite=1, device_nonce=bytes(32), device_share=SHARE, attributes=attributes, model="Overload 1"
    )


def key_enrollment(device_id):
    """Of a key that is made here, and thrown away."""
    command = "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x -outform DER -keyout /dev/null"
    csr = subprocess.run(command.split(), check=True, capture_output=True).stdout
    return provisioning_pb2.EnrollKeyRequest(device_id=device_id, keeper="KEY_KEEPER_SOFTWARE", csr=csr)


def in_stream(correlation, request):
    return provisioning_pb2.EnrollStreamRequest(correlation=correlation, enroll=request)


def code_of(error):
    """The stable code of a refusal, or the status of whatever else went wrong."""
    metadata = dict(error.trailing_metadata() or ())
    return metadata.get("wardein-code", error.code().name)
