"""Against a served authority, over gRPC. deploy/sdk.sh founds one, and says where it is."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from wardein_device import (
    Action,
    Device,
    Enrolling,
    PinBundle,
    Refused,
    Session,
    Store,
    identity_key,
    pin,
    renew_at,
    to_text,
)

HOUSE = os.environ.get("WARDEIN_HOUSE")
if HOUSE is None:
    pytest.skip("no authority is served; deploy/sdk.sh runs this", allow_module_level=True)

from wardein_device.grpc import Authority, Station  # noqa: E402

PLACE = Path(HOUSE)
ABOUT = json.loads((PLACE / "station/operator.json").read_text())
TARGET = ABOUT["endpoint"].removeprefix("https://")
ROOTS = (PLACE / "station/infrastructure.pem").read_bytes()


def wardein(*arguments: str) -> str:
    """The command line of the authority; the administrator's, unless an identity is named."""
    command = [os.environ["WARDEIN_BINARY"], *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def measure(names: Sequence[str]) -> Mapping[str, bytes]:
    everything = {"firmware": b"3.1.4", "board": b"rev-b"}
    return {name: everything[name] for name in names}


def enrolled(name: str, suite: int, store: Store, *, confirmed: bool = True) -> Device:
    pinned = identity_key((PLACE / "station/identity.pub").read_bytes())
    enrolling = Enrolling.begin(ABOUT["tenant"], name, measure(["firmware", "board"]), pinned, suite)
    key, certificate = ((PLACE / "station" / file).read_bytes() for file in ("operator.key", "operator.pem"))
    with Station(TARGET, ROOTS, key, certificate, proxy=False) as station:
        reply = station.enroll(enrolling.request, model="SDK 1")
        # The very same request is answered alike.
        assert station.enroll(enrolling.request, model="SDK 1") == reply
        device = enrolling.finish(reply, store.save)
        confirmation = device.confirmation()
        assert confirmation is not None
        if confirmed:
            station.confirm(confirmation)
    return device


@pytest.mark.parametrize("suite", [1, 2])
def test_a_device_in_service(tmp_path: Path, suite: int) -> None:
    name = f"python-{suite}"
    with Store(tmp_path) as store, Authority(TARGET, ROOTS, proxy=False) as authority:
        device = enrolled(name, suite, store)
        session = Session(device, authority, measure)
        session.authenticate()

        key = ec.generate_private_key(ec.SECP256R1())
        csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
        chain = [
            x509.load_der_x509_certificate(der)
            for der in session.certificate(csr.public_bytes(serialization.Encoding.DER))
        ]
        assert chain[0].public_key() == key.public_key()
        ends = int(chain[0].not_valid_after_utc.timestamp())
        assert session.renewal is not None
        assert session.renewal.start <= renew_at(session.renewal, device.known_time, ends) <= session.renewal.end < ends
        chain[0].verify_directly_issued_by(chain[1])
        roots = x509.load_pem_x509_certificates(session.trust_bundle())
        assert chain[1] in roots

        made = session.made_key("p256")
        own = serialization.load_der_private_key(made.pkcs8, None).public_key()
        leaf = x509.load_der_x509_certificate(made.certificates[0])
        assert own == leaf.public_key()
        leaf.verify_directly_issued_by(chain[1])

        for name_of_key in ("current", "recovery"):
            public = ec.generate_private_key(ec.SECP256R1()).public_key()
            form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            (tmp_path / name_of_key).write_bytes(public.public_bytes(*form))
        keys = ("--current", str(tmp_path / "current"), "--recovery", str(tmp_path / "recovery"))
        wardein("platform-pin", "set", "--tenant", device.tenant, *keys, "--confirm-stranding")
        signed = session.signed_bundle()
        assert signed is not None
        pins = PinBundle.open(signed, identity_key((PLACE / "station/identity.pub").read_bytes()))
        assert pins.recovery == pin(public.public_bytes(serialization.Encoding.DER, form[1]))

        session.announce({"firmware": b"3.1.4", "board": b"rev-b"})
        session.rekey(3 - suite)
        assert (device.generation, device.suite) == (2, 3 - suite)
        # As after a restart.
        saved = store.load()
        assert saved is not None
        device = Device.load(saved, store.save)
        Session(device, authority, measure).authenticate()

        (tmp_path / "token").write_text(to_text(device.token("iot", b"\x00\xff")))
        platform = ("--identity", str(PLACE / "platform"))
        arguments = ("trust", "verify-token", *platform, "--token-file", str(tmp_path / "token"), "--nonce", "00ff")
        assert f"edge:{name}" in wardein(*arguments)
        (tmp_path / "sealed").write_text(to_text(device.seal(b"72/min")))
        opened = ("--sealed", str(tmp_path / "sealed"), "--reason", "test", "--out", str(tmp_path / "opened"))
        wardein("trust", "open", *platform, *opened)
        assert (tmp_path / "opened").read_bytes() == b"72/min"


def test_refusals(tmp_path: Path) -> None:
    with Store(tmp_path) as store, Authority(TARGET, ROOTS, proxy=False) as authority:
        # The station's confirmation is lost: the device confirms by itself.
        device = enrolled("python-refused", 2, store, confirmed=False)
        session = Session(device, authority, measure)
        session.authenticate()

        challenge = authority.challenge(device.tenant, device.device_id)
        request = device.prove(device.ask(), challenge, "authenticate", b"", measure(["firmware", "board"]))
        authority.prove(request.message, b"")
        with pytest.raises(Refused) as refused:
            authority.prove(request.message, b"")
        assert (refused.value.code, refused.value.action) == ("replayed", Action.ASK_AGAIN)

        rotated = ("--tenant", device.tenant, "--required", "--reason", "test", "--yes")
        wardein("key", "rotate", "--device", device.device_id, *rotated)
        # What is agreed in the second of a rotation counts as older, and is asked for again.
        generation = device.generation
        for _ in range(20):
            try:
                session.authenticate()
                break
            except Refused as again:
                assert again.action is Action.REKEY
        assert device.generation > generation

        wrong = Session(device, authority, lambda names: dict.fromkeys(names, b"other"))
        with pytest.raises(Refused) as refused:
            wrong.authenticate()
        assert (refused.value.code, refused.value.action) == ("mac-wrong", Action.SEEK_HELP)
        with pytest.raises(Refused) as refused:
            session.certificate(b"no csr")
        assert (refused.value.code, refused.value.action) == ("csr-malformed", Action.MEND)

        wardein("device", "suspend", device.device_id, "--tenant", device.tenant, "--reason", "test", "--yes")
        with pytest.raises(Refused) as refused:
            session.authenticate()
        assert (refused.value.code, refused.value.action) == ("suspended", Action.SEEK_HELP)


def test_an_authority_that_is_not_there_or_another(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        device = enrolled("python-alone", 1, store)
    # Nobody listens on port 1; and the roots of devices do not vouch for the server.
    for target, roots in (("127.0.0.1:1", ROOTS), (TARGET, (PLACE / "a/foreign.pem").read_bytes())):
        with Authority(target, roots, proxy=False) as authority:
            session = Session(device, authority, measure)
            with pytest.raises(Refused) as refused:
                session.authenticate()
            assert (refused.value.code, refused.value.action) == (None, Action.WAIT)
