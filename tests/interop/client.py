"""A device and its station, written independently, from proto/ and crates/ddkg/SPEC.md alone, sharing no line with Wardein.

deploy/interop.sh founds an authority, generates the stubs and runs this. "Section" is always one of SPEC.md.
Every check asserts; the first that does not hold ends the run.
"""

import argparse
import hashlib
import hmac
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from grpc_health.v1 import health_pb2, health_pb2_grpc
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status
from wardein.v1 import device_pb2, device_pb2_grpc, provisioning_pb2, provisioning_pb2_grpc, trust_pb2, trust_pb2_grpc

SERVICES = {
    "wardein.v1.AdminService",
    "wardein.v1.AuditService",
    "wardein.v1.CertificateService",
    "wardein.v1.DeviceService",
    "wardein.v1.ProvisioningService",
    "wardein.v1.TrustService",
    "grpc.health.v1.Health",
}
SUITE = 1
ECDSA = ec.ECDSA(hashes.SHA256())
# No call takes longer than this many seconds.
PATIENCE = 20


# --- Section 1: primitives and notation ---


def sha256(data):
    return hashlib.sha256(data).digest()


def mac(key, data):
    return hmac.digest(key, data, "sha256")


def u64(number):
    return number.to_bytes(8, "big")


def frame(data):
    return len(data).to_bytes(4, "big") + data


def unframe_all(data):
    """The framed fields that `data` is made of, up to its end."""
    fields = []
    while data:
        length = int.from_bytes(data[:4], "big")
        assert len(data) >= 4 + length, "a frame is cut short"
        fields.append(data[4 : 4 + length])
        data = data[4 + length :]
    return fields


def transcript(label, *fields):
    """An integer field is its u64; a text its UTF-8 bytes."""
    framed = frame(b"ddkg1 " + label.encode())
    for field in fields:
        if isinstance(field, int):
            field = u64(field)
        elif isinstance(field, str):
            field = field.encode()
        framed += frame(field)
    return sha256(framed)


def expand(secret, label, context=b""):
    name = b"ddkg1 " + label.encode()
    info = (32).to_bytes(2, "big") + bytes([len(name)]) + name + bytes([len(context)]) + context
    return HKDFExpand(hashes.SHA256(), 32, info).derive(secret)


def hkdf_extract(salt, ikm):
    """RFC 5869, 2.2."""
    return mac(salt, ikm)


# --- Sections 2 and 3: the epoch trees, and the keys below them ---


def epoch_secret(tree, epoch):
    """Leaf `epoch` of a tree of depth 32, the most significant bit first. (A real device keeps the frontier, not the root.)"""
    node = tree
    for depth in range(31, -1, -1):
        node = expand(node, "right" if epoch >> depth & 1 else "left")
    return node


def key(tree, epoch, number):
    return expand(epoch_secret(tree, epoch), "key", u64(number))


# --- Section 4: the digests of attributes ---


def attribute_digest(name, value):
    return sha256(frame(name.encode()) + frame(value))


def attributes_digest(attributes):
    in_order = sorted(attributes.items(), key=lambda attribute: attribute[0].encode())
    return sha256(b"".join(frame(name.encode()) + attribute_digest(name, value) for name, value in in_order))


# --- The device ---


class Device:
    attributes = {"firmware": b"3.1.4", "board": b"rev-b", "Serial": b"4711"}

    def __init__(self, tenant, device_id, identity_key, service):
        self.tenant, self.id, self.service = tenant, device_id, service
        # Section 4: pinned.
        self.identity_key = identity_key
        self.number = 0
        # Section 3.1: the last acknowledged epoch, and how many acks came in it.
        self.epoch, self.acks = 0, 0

    def enroll(self, station):
        """Section 4, with suite 1. Ends with the device's confirmation, which the station relays."""
        private = ec.generate_private_key(ec.SECP256R1())
        share = private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        nonce = os.urandom(32)
        request = provisioning_pb2.EnrollRequest(
            device_id=self.id,
            suite=SUITE,
            device_nonce=nonce,
            device_share=share,
            attributes=[provisioning_pb2.Attribute(name=name, value=value) for name, value in self.attributes.items()],
            model="Interop 1",
        )
        reply = station.Enroll(request, timeout=PATIENCE)
        assert station.Enroll(request, timeout=PATIENCE) == reply, "the very same request is answered alike"
        assert (reply.tenant, reply.generation, len(reply.authority_share)) == (self.tenant, 1, 65)

        self.generation, self.schedule = reply.generation, reply.schedule
        t = transcript(
            "enroll", SUITE, self.tenant, self.id, nonce, share, attributes_digest(self.attributes),
            reply.authority_share, reply.generation,
            self.schedule.period_seconds, self.schedule.max_uses, self.schedule.not_before_seconds,
        )  # fmt: skip
        # Raises where the signature is wrong: over the 32 bytes of T as message.
        self.identity_key.verify(reply.signature, t, ECDSA)
        shown("the authority's signature over the enrollment is right")

        authority_share = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), reply.authority_share)
        ikm = private.exchange(ec.ECDH(), authority_share)
        root = expand(hkdf_extract(t, ikm), "root", t)
        expected = mac(expand(root, "confirm authority", t), t)
        assert hmac.compare_digest(reply.authority_confirmation, expected), "the authority's confirmation is right"
        shown("the authority's confirmation is right: both ends derived one root")

        # Section 2: the purposes that this device uses.
        self.tree, self.token_tree, self.data_tree = (expand(root, "purpose", p) for p in (b"proof", b"token", b"data"))
        confirmation = mac(expand(root, "confirm device", t), t)
        station.Confirm(
            provisioning_pb2.ConfirmRequest(device_id=self.id, device_confirmation=confirmation), timeout=PATIENCE
        )
        shown("the authority took the device's confirmation")

    def due_epoch(self, now):
        """Section 3.1, without what refusals say."""
        due = max(0, now - self.schedule.not_before_seconds) // self.schedule.period_seconds if self.schedule.period_seconds else 0
        spent = self.schedule.max_uses and self.acks >= self.schedule.max_uses
        return max(self.epoch + bool(spent), due)

    def proof(self, action, body=b""):
        """Section 5: a request that is ready to be sent, and how to check what comes back."""
        challenge = self.service.GetChallenge(
            device_pb2.GetChallengeRequest(tenant=self.tenant, device_id=self.id), timeout=PATIENCE
        )
        assert 0 < len(challenge.challenge) <= 255
        assert sorted(challenge.recipe) == sorted(self.attributes), "what was enrolled is to be measured"
        epoch, number, nonce = self.due_epoch(challenge.server_time_seconds), self.number, os.urandom(32)
        # Section 3: no number is used twice, come what may.
        self.number += 1

        measured = b"".join(attribute_digest(name, self.attributes[name]) for name in challenge.recipe)
        binding = sha256(frame(challenge.challenge) + measured)
        t = transcript(
            "proof", self.tenant, self.id, challenge.challenge, nonce,
            self.generation, epoch, number, action, sha256(body),
        )  # fmt: skip
        k = key(self.tree, epoch, number)
        request = device_pb2.ProveRequest(
            tenant=self.tenant,
            device_id=self.id,
            challenge=challenge.challenge,
            device_nonce=nonce,
            generation=self.generation,
            epoch=epoch,
            number=number,
            action=action,
            body=body,
            mac=mac(expand(k, "device", binding), t),
        )

        def check(reply):
            acked = transcript("ack", t, reply.server_time_seconds, sha256(reply.body))
            assert hmac.compare_digest(reply.ack, mac(expand(k, "authority", binding), acked)), "the ack is right"
            self.acks = self.acks + 1 if epoch == self.epoch else 1
            self.epoch = epoch
            return reply.body

        return request, check

    def prove(self, action, body=b""):
        """A proved request, and the body of the reply, which is believed because its ack is right."""
        request, check = self.proof(action, body)
        return check(self.service.Prove(request, timeout=PATIENCE))

    def token(self, audience, nonce, now):
        """Sections 7 and 11, kind 7; number 0, for this device makes one token alone."""
        epoch = self.due_epoch(now)
        fields = (self.tenant, self.id, self.generation, epoch, 0, audience, nonce, now)
        tag = mac(expand(key(self.token_tree, epoch, 0), "token"), transcript("token", *fields))
        tenant, device = frame(self.tenant.encode()), frame(self.id.encode())
        place = u64(self.generation) + epoch.to_bytes(4, "big") + u64(0)
        return b"\x07" + tenant + device + place + frame(audience.encode()) + frame(nonce) + u64(now) + tag

    def seal(self, plaintext, additional, now):
        """Sections 7 and 11, kind 8; number 0, for this device seals once."""
        epoch, nonce = self.due_epoch(now), os.urandom(12)
        name = frame(f"ddkg1:{self.tenant}/{self.id}/{self.generation}.data.{epoch}.0".encode())
        ciphertext = AESGCM(key(self.data_tree, epoch, 0)).encrypt(nonce, plaintext, name + frame(additional))
        return b"\x08" + name + nonce + frame(ciphertext)

    def refusal(self, request):
        """The stable code with which a request is refused."""
        return code_of(self.service.Prove, request)


def code_of(method, request):
    """The stable code with which a request is refused."""
    try:
        method(request, timeout=PATIENCE)
    except grpc.RpcError as error:
        return dict(error.trailing_metadata()).get("wardein-code")
    raise AssertionError("the request is refused")


# --- What is shown ---

def shown(what):
    print(f"  ✓ {what}", flush=True)


def show_services(channel):
    # The Python package generates v1alpha alone. The messages of v1 are the same on the wire; the method's name is not.
    reflect = channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    replies = list(reflect(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=PATIENCE))
    assert len(replies) == 1
    services = {service.name for service in replies[0].list_services_response.service}
    assert SERVICES <= services, f"missing in reflection: {SERVICES - services}"
    shown("server reflection lists " + ", ".join(sorted(services)))
    # Python's own client of reflection, which speaks v1alpha.
    assert SERVICES <= set(ProtoReflectionDescriptorDatabase(channel).get_services())
    shown("so does reflection v1alpha, for older clients")

    health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    shown("Health says SERVING")


def details_of(device, request):
    """ErrorInfo of a refusal, and the fields that are wrong. Neither passes by waiting, so nothing says to."""
    try:
        device.service.Prove(request, timeout=PATIENCE)
    except grpc.RpcError as error:
        details = {each.TypeName(): each for each in rpc_status.from_call(error).details}
        assert "google.rpc.RetryInfo" not in details
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        details["google.rpc.ErrorInfo"].Unpack(info)
        if "google.rpc.BadRequest" in details:
            details["google.rpc.BadRequest"].Unpack(bad)
        return info, [violation.field for violation in bad.field_violations]
    raise AssertionError("the request is refused")


def show_refusals(device):
    # The number must be new, so that nothing but the repetition is wrong.
    request, check = device.proof("authenticate")
    check(device.service.Prove(request, timeout=PATIENCE))
    code = device.refusal(request)
    assert code == "replayed", code
    shown("the very same proof again is refused: replayed")

    request, check = device.proof("authenticate")
    right = request.mac
    request.mac = bytes([right[0] ^ 1]) + right[1:]
    code = device.refusal(request)
    assert code == "mac-wrong", code
    shown("one bit of the mac changed is refused: mac-wrong")

    info, fields = details_of(device, request)
    assert (info.reason, info.domain, fields) == ("MAC_WRONG", "wardein", []), (info, fields)
    nonce, request.device_nonce = request.device_nonce, b"short"
    info, fields = details_of(device, request)
    assert (info.reason, fields) == ("MALFORMED", ["device_nonce"]), (info, fields)
    request.device_nonce = nonce
    shown("google.rpc.Status says MAC_WRONG of the one, and MALFORMED: device_nonce of another")

    # It was the mac, and nothing was used up by the refusal.
    request.mac = right
    check(device.service.Prove(request, timeout=PATIENCE))
    shown("the same proof with its right mac is accepted after that")


def show_certificate(device, trust_domain, root_ca):
    """Section 8: the body is a PKCS#10 request, the reply the certificates, leaf first."""
    private = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(private, hashes.SHA256())
    body = device.prove("certificate", csr.public_bytes(serialization.Encoding.DER))
    shown("certificate: proved, and the ack is right")

    chain = [x509.load_der_x509_certificate(der) for der in unframe_all(body)]
    leaf = chain[0]
    assert leaf.public_key() == private.public_key(), "the leaf carries the device's key"
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uri = f"spiffe://{trust_domain}/{device.tenant}/{device.id}"
    assert list(names) == [x509.UniformResourceIdentifier(uri)], names
    shown(f"the leaf of {len(chain)} certificates carries the device's key and {uri}")

    with tempfile.TemporaryDirectory() as place:
        leaf_pem, chain_pem = Path(place, "leaf.pem"), Path(place, "chain.pem")
        pem = [certificate.public_bytes(serialization.Encoding.PEM) for certificate in chain]
        leaf_pem.write_bytes(pem[0])
        chain_pem.write_bytes(b"".join(pem))
        # -x509_strict: RFC 5280 to the letter.
        command = ["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", root_ca]
        subprocess.run([*command, "-untrusted", chain_pem, leaf_pem], check=True, stdout=subprocess.DEVNULL)
    shown("openssl verify -purpose sslclient accepts the chain")


def show_platform(device, platform, name):
    """Section 7: a login and a sealed payload, each good once."""
    now, nonce, trust = int(time.time()), os.urandom(16), trust_pb2_grpc.TrustServiceStub(platform)
    token = device.token(name, nonce, now)
    login = trust_pb2.VerifyTokenRequest(token=token, platform_nonce=nonce, idempotency_key=os.urandom(16))
    names = [trust.VerifyToken(login, timeout=PATIENCE).user_name for _ in range(2)]
    assert names == [f"edge:{device.id}"] * 2, "asked again with the same key"
    login.idempotency_key = os.urandom(16)
    assert code_of(trust.VerifyToken, login) == "token-spent"
    shown(f"the device's token logs it in once, as edge:{device.id}")

    sealed = device.seal(b"Puls 72/min", b"log", now)
    ask = trust_pb2.OpenRequest(sealed=sealed, additional_data=b"log", reason="interop", idempotency_key=os.urandom(16))
    assert trust.Open(ask, timeout=PATIENCE).plaintext == b"Puls 72/min"
    ask.idempotency_key = os.urandom(16)
    assert code_of(trust.Open, ask) == "key-spent"
    shown("what the device sealed is opened once")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--station", type=Path, required=True, help="directory of a station's identity")
    parser.add_argument("--platform", type=Path, required=True, help="directory of a platform's identity")
    parser.add_argument("--root-ca", type=Path, required=True, help="the authority's root certificate, PEM")
    parser.add_argument("--trust-domain", required=True)
    parser.add_argument("--device", default="interop-1")
    options = parser.parse_args()
    operator = json.loads((options.station / "operator.json").read_text())
    target = operator["endpoint"].removeprefix("https://")
    infrastructure = (options.station / "infrastructure.pem").read_bytes()
    identity_key = serialization.load_pem_public_key((options.station / "identity.pub").read_bytes())

    # The station has a certificate; a device needs none, for every request carries its own proof.
    for_station, for_platform = (
        grpc.ssl_channel_credentials(
            infrastructure, (identity / "operator.key").read_bytes(), (identity / "operator.pem").read_bytes()
        )
        for identity in (options.station, options.platform)
    )
    for_device = grpc.ssl_channel_credentials(infrastructure)
    # The authority is on this machine: no proxy.
    direct = [("grpc.enable_http_proxy", 0)]
    with (
        grpc.secure_channel(target, for_station, direct) as station,
        grpc.secure_channel(target, for_platform, direct) as platform,
        grpc.secure_channel(target, for_device, direct) as open_channel,
    ):
        grpc.channel_ready_future(open_channel).result(timeout=PATIENCE)
        show_services(open_channel)

        device = Device(operator["tenant"], options.device, identity_key, device_pb2_grpc.DeviceServiceStub(open_channel))
        device.enroll(provisioning_pb2_grpc.ProvisioningServiceStub(station))
        assert device.prove("authenticate") == b"", "section 8: the reply to authenticate is empty"
        shown("authenticate: proved, and the ack is right")
        show_platform(device, platform, json.loads((options.platform / "operator.json").read_text())["name"])
        # Section 3: a holder may run ahead of the due epoch. In epoch 0 every turn in the tree is to the left.
        device.epoch = 0b101101
        assert device.prove("authenticate") == b""
        shown(f"authenticate in epoch {device.epoch}: both ends walk one tree")
        show_certificate(device, options.trust_domain, options.root_ca)
        show_refusals(device)


if __name__ == "__main__":
    # `python -O` would take the checks away.
    if not __debug__:
        raise SystemExit("client.py: its checks are assertions; run it without -O")
    main()
