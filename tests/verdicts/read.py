"""Reads what Wardein signs, with joserfc and the standard library alone."""

import base64, json, sys, time, urllib.request, zlib

from joserfc import jws, jwt
from joserfc.jwk import KeySet


def keys(path):
    with open(path) as file:
        return KeySet.import_key_set(json.load(file))


def text(path):
    with open(path) as file:
        return file.read().strip()


def receipt(path, jwks, audience, status, verdict):
    token = jwt.decode(text(path), keys(jwks), algorithms=["ES256"])
    assert token.header["typ"] == "wardein-verdict+jwt", token.header
    nonce = base64.urlsafe_b64encode(bytes(range(8))).rstrip(b"=").decode()
    jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": "spiffe://verdicts.example"},
        aud={"essential": True, "value": audience},
        exp={"essential": True},
        eat_nonce={"essential": True, "value": nonce},
    ).validate(token.claims)
    claims = token.claims
    assert claims["eat_profile"] == "tag:wardein,2026:verdict-1:draft-ietf-rats-ear-04", claims
    assert claims["submods"]["device"]["ear_status"] == status, claims
    assert claims["wardein.verdict"] == verdict, claims
    print(json.dumps(claims, indent=1))


def status_of(reference, jwks):
    request = urllib.request.Request(reference["uri"], headers={"Accept": "application/statuslist+jwt"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.headers["Content-Type"] == "application/statuslist+jwt"
        assert "max-age=60" in answer.headers["Cache-Control"]
        token = jwt.decode(answer.read().decode(), keys(jwks), algorithms=["ES256"])
    # draft-ietf-oauth-status-list, 8.3: the type, the subject, the time.
    assert token.header["typ"] == "statuslist+jwt", token.header
    claims = token.claims
    assert claims["sub"] == reference["uri"], claims["sub"]
    assert claims["iat"] <= time.time() + 60 and claims["exp"] > time.time() and claims["ttl"] == 60
    listed = claims["status_list"]
    assert listed["bits"] == 2
    packed = base64.urlsafe_b64decode(listed["lst"] + "=" * (-len(listed["lst"]) % 4))
    inflater = zlib.decompressobj()
    bits = inflater.decompress(packed, 16 << 20)
    assert inflater.eof, "a list of more than 16 MiB"
    byte, shift = divmod(reference["idx"], 4)
    print(f"{len(bits)} bytes, {len(packed)} compressed")
    return bits[byte] >> 2 * shift & 3


def status(path, jwks, wanted, within="5"):
    claims = jwt.decode(text(path), keys(jwks), algorithms=["ES256"]).claims
    reference, started = claims["status"]["status_list"], time.monotonic()
    while (found := status_of(reference, jwks)) != int(wanted):
        assert time.monotonic() - started < float(within), f"it says {found} after {within} s"
        time.sleep(0.02)
    print(f"{wanted} after {time.monotonic() - started:.3f} s")


{"receipt": receipt, "status": status}[sys.argv[1]](*sys.argv[2:])
