#!/usr/bin/env python3
"""Makes all entries of ddkg-1.vectors.json from `messages` on.

It is written from SPEC.md alone, shares no code with the crate, and needs nothing but Python's standard library. The entries before
`messages` are read and kept: those of the agreements need curves and ML-KEM, which the added ones take from them.

    python3 crates/ddkg/vectors/extend.py            writes the file again
    python3 crates/ddkg/vectors/extend.py --check    fails if it is not what it would write
"""

import hashlib
import hmac
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import gcm  # noqa: E402
import refusals  # noqa: E402
from spec import (  # noqa: E402
    Device, attribute_digest, b64, binding, bit_digits, body_of_attributes, check_digit, expand, frame, grouped, key, epoch_secret, leading, mac, message,
    number_digits, sha256, transcript, u8, u16, u32, u64,
)

PATH = pathlib.Path(__file__).with_name("ddkg-1.vectors.json")
ADDED = ["messages", "bindings", "attribute_bodies", "rekeys", "transfers", "made_keys", "service_codes", "emergency_codes", "carried_protocols",
         "refusals"]


def messages(file, device):
    """Each kind of section 11; its fields by their names there, and the bytes."""
    agreement, hybrid = file["enrollment"]
    proof, token, sealed = file["proof"], file["token"], file["sealed"]
    name = {"tenant": file["tenant"], "device_id": file["device_id"]}

    def request(of, attributes):
        return {"suite": of["suite"], **name, "device_nonce": of["device_nonce"], "device_share": of["device_share"],
                "attributes": attributes}

    def reply(of, signature):
        return {**{field: of[field] for field in ("suite", "authority_share", "generation", "period", "max_uses", "not_before")},
                "signature": signature, "authority_confirmation": of["authority_confirmation"]}

    def challenge(recipe):
        return {"challenge": proof["challenge"], "server_time": 1790003700, "recipe": recipe}

    asked = {**name, **{field: proof[field] for field in
                        ("challenge", "device_nonce", "generation", "epoch", "number", "action", "body_digest", "mac")}}
    key_name = f"ddkg1:{file['tenant']}/{file['device_id']}/{sealed['generation']}.data.{sealed['epoch']}.{sealed['number']}"
    login = {**name, **{field: token[field] for field in
                        ("generation", "epoch", "number", "audience", "platform_nonce", "issued_at", "mac")}}
    unasked = {**login, "platform_nonce": ""}
    unasked["mac"] = device.token_mac(unasked).hex()
    listed = [
        ("an enrollment request of suite 1", 1, request(agreement, file["attributes"]["values"])),
        ("an enrollment request without attributes", 1, request(agreement, {})),
        ("an enrollment request of suite 2", 1, request(hybrid, file["attributes"]["values"])),
        ("an enrollment reply of suite 1", 2, reply(agreement, agreement["signature"])),
        ("an enrollment reply of suite 2; the signature is that of suite 1, which it does not verify", 2,
         reply(hybrid, agreement["signature"])),
        ("a confirmation", 3, {**name, "device_confirmation": agreement["device_confirmation"]}),
        ("a challenge that asks for two attributes", 4, challenge(proof["recipe"])),
        ("a challenge that asks for none", 4, challenge([])),
        ("a proof", 5, asked),
        ("a reply without a body", 6, {"server_time": proof["server_time"], "ack": proof["ack"], "body": ""}),
        ("a reply with a body", 6, {"server_time": proof["server_time"], "ack": proof["ack"], "body": b"reply body".hex()}),
        ("a token with a nonce", 7, login),
        ("a token without a nonce", 7, unasked),
        ("a sealed payload", 8, {"key_name": key_name, "nonce": sealed["nonce"], "ciphertext": sealed["ciphertext"]}),
    ]
    out = []
    for named, kind, fields in listed:
        encoded = message(kind, fields)
        out.append({"name": named, "kind": kind, "fields": fields, "encoded": encoded.hex(), "base64": b64(encoded)})
    return out


def bindings(file):
    """Section 5, with the attributes of `attributes`."""
    challenge = file["proof"]["challenge"]
    listed = [("an empty recipe", []), ("one attribute", ["mac"]), ("in the recipe's order", ["mac", "firmware", "cpu-serial"])]
    return [{"name": name, "challenge": challenge, "recipe": recipe,
             "binding": binding(bytes.fromhex(challenge), recipe, file["attributes"]["values"]).hex()} for name, recipe in listed]


def attribute_bodies(file):
    """The body of the action `attributes`, section 8."""
    listed = [
        ("none", {}),
        ("those of `attributes`", file["attributes"]["values"]),
        ("in the order of bytes, where capitals come first", {"a": "1", "B": "2", "~": "", "A-b": "ä"}),
    ]
    out = []
    for name, values in listed:
        body = body_of_attributes(values)
        out.append({"name": name, "values": values, "body": body.hex(), "body_digest": sha256(body).hex()})
    return out


def rekeys(file, device):
    """Section 6, whole: request, reply, and the root that follows. Shares and their secret are those of `enrollment`."""
    out = []
    cases = [(0, None, None), (1, None, None), (0, 0b1111, 0b1111), (0, 0b110101, 0b000101), (0, 0x80000001, 1)]
    for place, (index, named, granted) in enumerate(cases):
        agreement = file["enrollment"][index]
        purposes = [] if named is None else [granted]
        body = u16(agreement["suite"]) + frame(bytes.fromhex(agreement["device_share"])) + (b"" if named is None else u32(named))
        number, epoch, generation, now = 20 + place, 2, 2, 1790007300
        proof, of = device.proof(epoch=epoch, number=number, action="rekey", body=body, issued_ms=now * 1000)
        schedule = {"period": 3600, "max_uses": 1000, "not_before": now}
        share = bytes.fromhex(agreement["authority_share"])
        reply_body = frame(share) + u64(generation) + b"".join(u64(value) for value in schedule.values()) + b"".join(map(u32, purposes))
        T = transcript("rekey", of["transcript"], agreement["suite"], bytes.fromhex(agreement["device_share"]), share, generation,
                       *schedule.values(), *purposes)
        salt = expand(epoch_secret(device.root, "proof", epoch), "rekey", T)
        prk = hmac.new(salt, bytes.fromhex(agreement["ikm"]), hashlib.sha256).digest()
        out.append({
            "name": f"to suite {agreement['suite']}" + ("" if named is None else f", naming purposes {named:#b}"), "generation_root": device.root.hex(),
            "agreement": index, "suite": agreement["suite"], "recipe": device.recipe, "body": body.hex(), "proof": proof.hex(),
            "reply": device.reply(of, now, reply_body).hex(), "purposes_named": named, "purposes_granted": granted, "generation": generation, **schedule,
            "transcript": T.hex(),
            "new_generation_root": expand(prk, "root", T).hex(),
        })
    return out


def transfers(file, device):
    """Section 6.2, whole. The device of `tenant` and `device_id` becomes another; shares and their secret are those of `enrollment`."""
    out = []
    longest = "t" * 63, "A-Z.a_z:0-9" + "d" * 117
    cases = [(0, "lab", file["device_id"], 2), (1, "lab", "pump-2", 9), (0, file["tenant"], "pump-2", 1 << 40), (0, *longest, (1 << 64) - 1)]
    for place, (index, tenant, device_id, generation) in enumerate(cases):
        agreement = file["enrollment"][index]
        body = u16(agreement["suite"]) + frame(bytes.fromhex(agreement["device_share"]))
        number, epoch, now = 40 + place, 2, 1790007300
        proof, of = device.proof(epoch=epoch, number=number, action="transfer", body=body, issued_ms=now * 1000)
        schedule = {"period": 3600, "max_uses": 1000, "not_before": now}
        share = bytes.fromhex(agreement["authority_share"])
        reply_body = frame(tenant.encode()) + frame(device_id.encode()) + frame(share) + u64(generation)
        reply_body += b"".join(u64(value) for value in schedule.values())
        T = transcript("transfer", of["transcript"], tenant, device_id, agreement["suite"], bytes.fromhex(agreement["device_share"]), share,
                       generation, *schedule.values())
        salt = expand(epoch_secret(device.root, "proof", epoch), "transfer", T)
        prk = hmac.new(salt, bytes.fromhex(agreement["ikm"]), hashlib.sha256).digest()
        out.append({
            "name": f"suite {agreement['suite']}, to {len(tenant)} and {len(device_id)} bytes of a name", "generation_root": device.root.hex(),
            "agreement": index, "suite": agreement["suite"], "recipe": device.recipe, "body": body.hex(), "proof": proof.hex(),
            "reply": device.reply(of, now, reply_body).hex(), "new_tenant": tenant, "new_device_id": device_id, "generation": generation, **schedule,
            "transcript": T.hex(),
            "new_generation_root": expand(prk, "root", T).hex(),
        })
    return out


def made_keys(file, device):
    """Section 8.2, whole. What stands for the key and the certificates is not looked at."""
    out = []
    for place, (kind, length) in enumerate([("p256", 121), ("rsa-3072", 1794), ("rsa-2048", 1), ("p384", 4096)]):
        number, epoch, now, body = 60 + place, 2, 1790007300, kind.encode()
        proof, of = device.proof(epoch=epoch, number=number, action="made-key", body=body, issued_ms=now * 1000)
        nonce, pkcs8 = device.draw(12), b"".join(device.draw(32) for _ in range(128))[:length]
        certificates = frame(device.draw(32)) + frame(device.draw(32))
        ciphertext = gcm.seal(of["made key"], nonce, pkcs8, of["transcript"])
        out.append({
            "name": f"{kind}, of {length} bytes", "generation_root": device.root.hex(), "recipe": device.recipe, "body": body.hex(), "proof": proof.hex(),
            "sealing_key": of["made key"].hex(), "nonce": nonce.hex(), "pkcs8": pkcs8.hex(), "certificates": certificates.hex(),
            "reply": device.reply(of, now, nonce + frame(ciphertext) + certificates).hex(),
        })
    return out


def service_codes(file, device):
    """Section 7.1, whole."""
    out = []
    longest = "t" * 63, "A-Z.a_z:0-9" + "d" * 117
    own = file["tenant"], file["device_id"]
    cases = [
        ("the first of a device", *own, 1, 0, 0, "maintenance", 20), ("another scope", *own, 1, 0, 0, "view", 20),
        ("another length", *own, 1, 0, 0, "maintenance", 1), ("for 12 hours", *own, 7, 5475, 1664, "0-9", 240),
        ("the greatest numbers", *longest, (1 << 64) - 1, (1 << 32) - 1, (1 << 63) - 1, "s" * 32, 255 - 15),
    ]
    for name, tenant, device_id, generation, epoch, number, scope, units in cases:
        K = key(device.root, "service", epoch, number)
        C = transcript("service challenge", tenant, device_id, generation, epoch, number, scope)
        asked = leading(mac(expand(K, "service challenge"), C), 35)
        answered = leading(mac(expand(K, "service code"), transcript("service code", C, units)), 42)
        digits = [digit for value in (generation, epoch, number) for digit in number_digits(value)]
        out.append({
            "name": name, "generation_root": device.root.hex(), "tenant": tenant, "device_id": device_id, "generation": generation, "epoch": epoch,
            "number": number, "scope": scope, "challenge": grouped(digits + bit_digits(asked, 35), 4), "units": units,
            "code": grouped(bit_digits(units << 42 | answered, 50), 5),
        })
    return out


def emergency_codes(device):
    """Section 7.2."""
    out = []
    for name, epoch, number in [("the first", 0, 0), ("a later epoch", 365, 128), ("the greatest numbers", (1 << 32) - 1, (1 << 63) - 1)]:
        secret = expand(key(device.root, "service", epoch, number), "emergency code")
        digits = bit_digits(leading(secret, 75), 75)
        out.append({"name": name, "generation_root": device.root.hex(), "epoch": epoch, "number": number,
                    "code": grouped(digits + [check_digit(digits)], 4)})
    return out


def carried_protocols(file, device):
    """Sections 7.3 and 8.7, whole."""
    out = []
    own, longest = (file["tenant"], file["device_id"]), ("t" * 63, "A-Z.a_z:0-9" + "d" * 117)
    cases = [
        ("of a visit", own, (1, 0, 0), bytes(range(8)), "maintenance", 1, (1790003700, 1790003760), {"calibration": 2, "login": 1}),
        ("of a code", own, (1, 3, 7), (1, 1, 0, 5), "view", 2, (0, 0), {}),
        ("of an emergency", own, (7, 5475, 1664), (2, 7, 5474, 1600), "emergency", 4, (1, 2), {"login": 1}),
        ("the longest", longest, ((1 << 64) - 1, (1 << 32) - 1, (1 << 63) - 1), bytes(8), "s" * 32, 3, ((1 << 64) - 2, (1 << 64) - 1),
         {f"{i:02}" + "c" * 30: (1 << 32) - 1 for i in range(16)}),
    ]
    for name, (tenant, device_id), (generation, epoch, number), by, scope, end, (began, ended), actions in cases:
        is_visit = isinstance(by, bytes)
        session = bytes(range(100, 116))
        body = u8(1 if is_visit else 2) + u8(end) + frame(tenant.encode()) + frame(device_id.encode())
        if is_visit:
            people = ("e" * 64, "W" * 64) if name == "the longest" else ("eva", "WO-00012")
            body += by + session + frame(people[0].encode()) + frame(people[1].encode())
        else:
            body += u8(by[0]) + u64(by[1]) + u32(by[2]) + u64(by[3]) + session
        body += frame(scope.encode()) + u64(began) + u64(ended) + u8(len(actions))
        body += b"".join(frame(category.encode()) + u32(times) for category, times in sorted(actions.items()))
        T = transcript("visit protocol", tenant, device_id, generation, epoch, number, sha256(body))
        tag = mac(expand(key(device.root, "service", epoch, number), "visit protocol"), T)
        carried = u8(17) + u64(generation) + u32(epoch) + u64(number) + frame(body) + tag
        out.append({"name": name, "generation_root": device.root.hex(), "tenant": tenant, "device_id": device_id, "generation": generation,
                    "epoch": epoch, "number": number, "body": body.hex(), "message": carried.hex()})
    return out


def extended(file):
    first = {name: value for name, value in file.items() if name not in ADDED}
    device = Device(first)
    made = {"messages": messages(first, device), "bindings": bindings(first), "attribute_bodies": attribute_bodies(first),
            "rekeys": rekeys(first, device)}
    refused = refusals.all_of(first, made, device)
    # Made last: what is drawn for them leaves the vectors of earlier revisions as they were.
    gone_over = transfers(first, device)
    return {**first, **made, "transfers": gone_over, "made_keys": made_keys(first, device),
            "service_codes": service_codes(first, device), "emergency_codes": emergency_codes(device),
            "carried_protocols": carried_protocols(first, device), "refusals": refused}


def main():
    before = PATH.read_text()
    after = json.dumps(extended(json.loads(before)), indent=1, ensure_ascii=False)
    if "--check" in sys.argv[1:]:
        sys.exit(0 if after == before else f"{PATH.name} is not what extend.py makes")
    PATH.write_text(after)


main()
