"""What is refused, and why: each input has one fault, and is listed beside the same input without it where that is not a vector already."""

from spec import Device, b64, body_of_attributes, frame, message, sha256, u16, u32, u8

# A second and a third agreement of the same device.
OTHER_ROOTS = [sha256(b"the root of another generation"), sha256(b"the root of a third one")]
HOURLY = {"period": 3600, "max_uses": 0, "not_before": 1790000000}
START = HOURLY["not_before"]


def all_of(file, made, device):
    return {
        "malformed": malformed(file, made),
        "enrollment": enrollment(file, made, device),
        "acks": acks(device),
        "proofs": proofs(file, device),
        "tokens": tokens(device),
        "sealed": sealed(file, device),
    }


def flipped(value, at=-1):
    value = bytearray(value)
    value[at] ^= 1
    return bytes(value)


# Section 11

def malformed(file, made):
    """Inputs that no decoder may take. `of` says which decoder."""
    whole = {of: bytes.fromhex(next(entry["encoded"] for entry in made["messages"] if entry["kind"] == kind))
             for kind, of in enumerate(["enrollment request", "enrollment reply", "confirmation", "challenge", "proof", "reply", "token",
                                        "sealed payload"], 1)}
    fields = {kind: next(entry["fields"] for entry in made["messages"] if entry["kind"] == kind) for kind in range(1, 9)}
    out = []

    def add(of, name, value):
        out.append({"name": f"{of}: {name}", "of": of, "input": value.hex(), "expect": "malformed"})

    for kind, (of, value) in enumerate(whole.items(), 1):
        add(of, "is empty", b"")
        add(of, "is of another kind", u8(kind % 8 + 1) + value[1:])
        add(of, "lacks its last byte", value[:-1])
        add(of, "has one byte more", value + b"\0")

    def changed(kind, of, name, **fields_):
        add(of, name, message(kind, {**fields[kind], **fields_}))

    for kind, of in [(1, "enrollment request"), (3, "confirmation"), (5, "proof"), (7, "token")]:
        changed(kind, of, "the tenant is empty", tenant="")
        changed(kind, of, "the tenant has a capital", tenant="Klinik")
        changed(kind, of, "the tenant ends with '-'", tenant="klinik-")
        changed(kind, of, "the tenant has 64 bytes", tenant="k" * 64)
        changed(kind, of, "the device id has a space", device_id="pump 1")
        changed(kind, of, "the device id has 129 bytes", device_id="p" * 129)
    of, first = "enrollment request", fields[1]
    changed(1, of, "there is no suite 0", suite=0)
    changed(1, of, "there is no suite 3", suite=3)
    changed(1, of, "the share is a byte short", device_share=first["device_share"][:-2])
    changed(1, of, "the share is of suite 2", suite=1, device_share=file["enrollment"][1]["device_share"])
    start = len(message(1, {**first, "attributes": {}}))
    one, two = (frame(name) + frame(b"1") for name in (b"a", b"b"))
    for name, attributes in [
        ("attributes out of order", two + one), ("an attribute twice", one + one), ("an attribute without a name", frame(b"") + frame(b"1")),
        ("an attribute's name with a space", frame(b"a b") + frame(b"1")), ("an attribute's name of 65 bytes", frame(b"a" * 65) + frame(b"")),
        ("an attribute's value of 4097 bytes", frame(b"a") + frame(b"1" * 4097)),
        ("65 attributes", b"".join(frame(f"{i:02}".encode()) + frame(b"") for i in range(65))),
    ]:
        add(of, name, whole[of][:start] + attributes)
        add("attributes body", name, attributes)
    changed(2, "enrollment reply", "generation 0", generation=0)
    changed(2, "enrollment reply", "the signature has 73 bytes", signature="30" * 73)
    changed(4, "challenge", "the challenge is empty", challenge="")
    changed(4, "challenge", "the challenge has 256 bytes", challenge="00" * 256)
    changed(4, "challenge", "the recipe names an attribute twice", recipe=["mac", "mac"])
    changed(4, "challenge", "the recipe has a name with a space", recipe=["m c"])
    changed(5, "proof", "the challenge is empty", challenge="")
    changed(5, "proof", "generation 0", generation=0)
    changed(5, "proof", "the action is empty", action="")
    changed(5, "proof", "the action has a capital", action="Rekey")
    changed(5, "proof", "the action has 33 bytes", action="a" * 33)
    changed(5, "proof", "number 2^63", number=2**63)
    changed(7, "token", "generation 0", generation=0)
    changed(7, "token", "number 2^63", number=2**63)
    changed(7, "token", "the audience is empty", audience="")
    changed(7, "token", "the audience has a line break", audience="a\nb")
    changed(7, "token", "the audience has 256 bytes", audience="a" * 256)
    changed(7, "token", "the nonce has 65 bytes", platform_nonce="00" * 65)
    of, key_name = "sealed payload", fields[8]["key_name"]
    changed(8, of, "the ciphertext is shorter than its tag", ciphertext="00" * 15)
    parts = key_name.rsplit("/", 1)
    names = [
        ("is of purpose file", key_name.replace(".data.", ".file.")), ("has no such purpose", key_name.replace(".data.", ".other.")),
        ("is of another protocol", "ddkg2" + key_name[5:]), ("has generation 0", f"{parts[0]}/0.data.1.9"),
        ("has a leading zero", f"{parts[0]}/01.data.1.9"), ("has a sign", f"{parts[0]}/1.data.+1.9"),
        ("has epoch 2^32", f"{parts[0]}/1.data.4294967296.9"), ("has number 2^63", f"{parts[0]}/1.data.1.9223372036854775808"),
        ("has number 2^64", f"{parts[0]}/1.data.1.18446744073709551616"),
        ("lacks its number", f"{parts[0]}/1.data.1"), ("has a part more", f"{key_name}.1"), ("has no device", "ddkg1:klinik-nord/1.data.1.9"),
    ]
    for name, changed_name in names:
        changed(8, of, "the key name " + name, key_name=changed_name)
    share = bytes.fromhex(first["device_share"])
    for name, value in [
        ("is empty", b""), ("there is no suite 0", u16(0) + frame(share)), ("the share is a byte short", u16(1) + frame(share[:-1])),
        ("lacks its last byte", (u16(1) + frame(share))[:-1]), ("names purposes without proof", u16(1) + frame(share) + u32(0b1110)),
        ("three bytes of purposes", u16(1) + frame(share) + b"\0\0\1"), ("five bytes of purposes", u16(1) + frame(share) + u32(1) + b"\0"),
    ]:
        add("rekey body", name, value)
    text = b64(whole["token"]).encode()
    for name, value in [
        ("has no padding", b"AAAAAA"), ("is base64url", b"_-8="), ("has a line break", text + b"\n"), ("has a space before it", b" " + text),
        ("has bits behind its end", b"AAB="),
    ]:
        add("base64", name, value)
    return out


# Section 4

def enrollment(file, made, device):
    """`request` is judged by the authority, `reply` by the device, which made request `of` of `enrollment`, `confirmation` by the authority."""
    agreement, hybrid = file["enrollment"]
    whole = {kind: next(entry["fields"] for entry in made["messages"] if entry["kind"] == kind) for kind in (1, 2, 3)}
    out = []

    def add(name, of, which, value, expect):
        out.append({"name": name, "of": of, "message": which, "input": value.hex(), "expect": expect})

    def request(name, of, share, expect):
        fields = {**whole[1], "suite": of + 1, "device_share": share.hex()}
        add(name, of, "request", message(1, fields), expect)

    share, other = (bytes.fromhex(entry["device_share"]) for entry in (agreement, hybrid))
    request("a share that is a point", 0, share, "accepted")
    request("a share that is no point of the curve", 0, flipped(share), "share-invalid")
    request("a share whose point is compressed in name", 0, b"\x02" + share[1:], "share-invalid")
    request("a share that is the point at infinity in name", 0, bytes(65), "share-invalid")
    request("suite 2: a share that is one", 1, other, "accepted")
    request("suite 2: a point that is not on the curve", 1, flipped(other, 64), "share-invalid")
    # FIPS 203, section 7.2: a coefficient of 4095 is not below q = 3329.
    request("suite 2: an encapsulation key with a coefficient that is not reduced", 1, other[:65] + b"\xff\xff" + other[67:], "share-invalid")

    def reply(name, expect, **changed):
        add(name, 0, "reply", message(2, {**whole[2], **changed}), expect)

    reply("the reply", "accepted")
    reply("another period", "signature-wrong", period=agreement["period"] + 1)
    reply("another bound on uses", "signature-wrong", max_uses=0)
    reply("another beginning", "signature-wrong", not_before=agreement["not_before"] + 1)
    reply("another generation", "signature-wrong", generation=2)
    reply("another share", "signature-wrong", authority_share=agreement["device_share"])
    reply("another signature", "signature-wrong", signature=flipped(bytes.fromhex(agreement["signature"])).hex())
    reply("a wrong confirmation", "confirmation-wrong",
          authority_confirmation=flipped(bytes.fromhex(agreement["authority_confirmation"])).hex())
    reply("the device's confirmation sent back to it", "confirmation-wrong", authority_confirmation=agreement["device_confirmation"])

    def confirmation(name, expect, **changed):
        add(name, 0, "confirmation", message(3, {**whole[3], **changed}), expect)

    confirmation("the confirmation", "accepted")
    confirmation("a wrong confirmation", "confirmation-wrong", device_confirmation=flipped(bytes.fromhex(agreement["device_confirmation"])).hex())
    confirmation("the authority's confirmation sent back to it", "confirmation-wrong",
                 device_confirmation=agreement["authority_confirmation"])
    confirmation("of another device", "wrong-device", device_id="pump-0002")
    return out


# Section 5: what the device judges

def acks(device):
    proof, of = device.proof(epoch=1, number=30, issued_ms=START * 1000)
    now, body = START + 1, b"reply body"
    whole = device.reply(of, now, body)
    reply = {"server_time": now, "ack": whole[9:41].hex(), "body": body.hex()}
    other, elsewhere = device.proof(epoch=1, number=30, issued_ms=START * 1000)
    out = []
    for name, expect, changed in [
        ("the reply", "accepted", {}),
        ("another time", "ack-wrong", {"server_time": now + 1}),
        ("another body", "ack-wrong", {"body": b"reply bodz".hex()}),
        ("no body", "ack-wrong", {"body": ""}),
        ("another ack", "ack-wrong", {"ack": flipped(whole[9:41]).hex()}),
        ("the proof's mac sent back", "ack-wrong", {"ack": of["fields"]["mac"]}),
        ("the ack of another request under the same number", "ack-wrong", {"ack": device.reply(elsewhere, now, body)[9:41].hex()}),
    ]:
        out.append({"name": name, "generation_root": device.root.hex(), "recipe": device.recipe, "proof": proof.hex(),
                    "reply": message(6, {**reply, **changed}).hex(), "expect": expect})
    return out


# Section 5: what the authority judges

def generation(number, root, state="active", schedule=HOURLY):
    return {"generation": number, "state": state, "generation_root": root.hex(), **schedule}


class Scenario:
    """A device as the authority knows it, and what comes, in this order."""

    def __init__(self, name, device, generations=None, values=None, confirmed=True):
        self.device, self.steps = device, []
        generations = generations or [generation(1, device.root)]
        self.whole = {"name": name, "challenge_key": device.challenge_key.hex(), "attributes": values if values is not None else device.values,
                      "confirmed": confirmed, "generations": generations, "steps": self.steps}

    def proof(self, name, expect, seconds, made=None, next_epoch=None, highest_epoch=None, body=b"", sent=None, early_ms=0, **how):
        """Arrives `seconds` after the beginning and answers a challenge issued `early_ms` before. Gives what may be sent again."""
        now_ms = START * 1000 + round(seconds * 1000)
        proof, of = made or self.device.proof(issued_ms=now_ms - early_ms, body=body, **how)
        accepted = expect == "accepted" and self.device.reply(of, now_ms // 1000).hex()
        self.steps.append({
            "name": name, "now_ms": now_ms, "proof": proof.hex(), "body": (body if sent is None else sent).hex(), "expect": expect,
            "next_epoch": next_epoch, "highest_epoch": highest_epoch, "reply": accepted or None,
        })
        return proof, of


def proofs(file, device):
    root, third = device.root, OTHER_ROOTS
    wrong, out = "mac-wrong", []

    def scenario(name, **how):
        of = Scenario(name, how.pop("device", device), **how)
        out.append(of.whole)
        return of

    s = scenario("each field of a proof")
    at = {"epoch": 0, "number": 7}
    s.proof("another mac", wrong, 1, changed={"mac": "00" * 32}, **at)
    s.proof("another nonce than the mac covers", wrong, 1, changed={"device_nonce": "00" * 32}, **at)
    s.proof("another action", wrong, 1, changed={"action": "trust-bundle"}, **at)
    s.proof("another number", wrong, 1, changed={"number": 8}, **at)
    s.proof("another epoch", wrong, 1, changed={"epoch": 1}, **at)
    s.proof("another body than was proved", "body-wrong", 1, sent=b"another", **at)
    s.proof("another digest and its body", wrong, 1, changed={"body_digest": sha256(b"another").hex()}, sent=b"another", **at)
    s.proof("other hardware", wrong, 1, values={**device.values, "firmware": "sha256:0000"}, **at)
    s.proof("the keys of another agreement", wrong, 1, root=third[0], **at)
    s.proof("a generation that nobody agreed on", "generation-unknown", 1, generation=2, **at)
    s.proof("the proof", "accepted", 1, **at)

    s = scenario("challenges")
    at["number"] = 0
    s.proof("of another authority", "challenge-unknown", 100, challenge=device.challenge((START + 100) * 1000, key_=bytes(32)), **at)
    s.proof("for another device", "challenge-unknown", 100, challenge=device.challenge((START + 100) * 1000, device_id="pump-0002"), **at)
    s.proof("for other attributes", "challenge-unknown", 100, challenge=device.challenge((START + 100) * 1000, recipe=["mac"]), **at)
    s.proof("altered", "challenge-unknown", 100, challenge=flipped(device.challenge((START + 100) * 1000), 8), **at)
    s.proof("of another form", "challenge-unknown", 100, challenge=b"\x02" + device.challenge((START + 100) * 1000)[1:], **at)
    s.proof("60.001 s old", "challenge-expired", 100, early_ms=60_001, **at)
    s.proof("2.001 s ahead", "challenge-from-the-future", 100, early_ms=-2_001, **at)
    s.proof("60 s old", "accepted", 100, early_ms=60_000, **at)
    s.proof("2 s ahead", "accepted", 100, early_ms=-2_000, epoch=0, number=1)

    s = scenario("the same number")
    sent = s.proof("the first time", "accepted", 1, epoch=0, number=7)
    s.proof("the very same message", "replayed", 2, made=sent)
    s.proof("another message with that number", "clone-suspected", 2, epoch=0, number=7)

    s = scenario("numbers below the highest")
    s.proof("the highest", "accepted", 10, epoch=0, number=200)
    sent = s.proof("one that was overtaken", "accepted", 11, epoch=0, number=150, early_ms=2_000)
    s.proof("the same again", "replayed", 11, made=sent)
    s.proof("the last that is watched", "accepted", 11, epoch=0, number=73, early_ms=2_000)
    s.proof("one behind those that are watched", "replayed", 11, epoch=0, number=72, early_ms=2_000)
    rekey = u16(1) + frame(bytes.fromhex(file["enrollment"][0]["device_share"]))
    s.proof("a rekey that was overtaken", "replayed", 11, epoch=0, number=149, early_ms=2_000, action="rekey", body=rekey)
    s.proof("attributes that were overtaken", "replayed", 11, epoch=0, number=148, early_ms=2_000, action="attributes",
            body=body_of_attributes(device.values))
    s.proof("a challenge issued 2 s after the latest that was answered", "accepted", 12, epoch=0, number=147)
    s.proof("a challenge issued more than 2 s after it", "clone-suspected", 14.001, epoch=0, number=146)

    s = scenario("epochs")
    s.proof("65 ahead of the one that is due", "epoch-ahead", 1, highest_epoch=64, epoch=65, number=0)
    s.proof("the first one within the grace of the second", "accepted", 3600 + 299, epoch=0, number=0)
    s.proof("the first one behind the grace", "epoch-spent", 3600 + 300, next_epoch=1, epoch=0, number=1)
    s.proof("64 ahead of what is due within the grace", "accepted", 3600 + 300, epoch=65, number=1)
    s.proof("one below the highest that was accepted", "epoch-spent", 3600 + 301, next_epoch=65, epoch=64, number=2)

    s = scenario("a period shorter than the grace, which is no longer than it", generations=[generation(1, root, schedule={**HOURLY, "period": 60})])
    s.proof("the first epoch, within a period of the second", "accepted", 60 + 59, epoch=0, number=0)
    s.proof("a period after its end", "epoch-spent", 60 + 60, next_epoch=1, epoch=0, number=1)
    s.proof("65 ahead of what is due within a period", "epoch-ahead", 60 + 60, highest_epoch=67, epoch=68, number=1)

    s = scenario("the highest number")
    s.proof("the one below it", "accepted", 1, epoch=0, number=2**63 - 2)
    s.proof("the last there is", "accepted", 2, epoch=0, number=2**63 - 1)

    s = scenario("uses", generations=[generation(1, root, schedule={**HOURLY, "max_uses": 2})])
    s.proof("the first", "accepted", 1, epoch=0, number=0)
    s.proof("the second", "accepted", 2, epoch=0, number=1)
    s.proof("a third", "epoch-spent", 3, next_epoch=1, epoch=0, number=2)
    s.proof("in the next epoch", "accepted", 4, epoch=1, number=2)

    s = scenario("no attributes", device=Device(file, values={}))
    s.proof("an empty recipe", "accepted", 1, epoch=0, number=0)

    two = [generation(1, root, "retired"), generation(2, third[0])]
    s = scenario("a retired generation", generations=two)
    s.proof("the active one", "accepted", 10, generation=2, root=third[0], epoch=0, number=0)
    s.proof("a late message of the retired one", "generation-retired", 12, epoch=0, number=5)
    s.proof("a wrong mac", wrong, 13, epoch=0, number=5, changed={"mac": "00" * 32})
    s.proof("a challenge issued more than 2 s after the latest", "clone-suspected", 13, epoch=0, number=5)

    s = scenario("a pending generation", generations=[generation(1, root), generation(2, third[0], "pending")])
    s.proof("the active one", "accepted", 10, epoch=0, number=9)
    s.proof("the first under the pending one, which makes it active", "accepted", 20, generation=2, root=third[0], epoch=0, number=0)
    s.proof("a late message of the one before", "generation-retired", 22, epoch=0, number=10)
    s.proof("a challenge issued more than 2 s after the latest", "clone-suspected", 23, epoch=0, number=10)

    replaced = [generation(1, root), generation(2, third[1], "pending"), generation(2, third[0], "replaced")]
    s = scenario("a pending generation that a later rekey replaced", generations=replaced)
    s.proof("the later one", "accepted", 10, generation=2, root=third[1], epoch=0, number=0)
    s.proof("the one that was replaced", "clone-suspected", 10, generation=2, root=third[0], epoch=0, number=0)

    s = scenario("an enrollment that is not confirmed", confirmed=False)
    s.proof("a proof", "enrollment-pending", 1, epoch=0, number=0)

    new = {**device.values, "firmware": "sha256:0000"}
    s = scenario("attributes that are announced")
    s.proof("without one that is on record", "attribute-dropped", 1, epoch=0, number=0, action="attributes",
            body=body_of_attributes({name: value for name, value in new.items() if name != "mac"}))
    s.proof("the announcement", "accepted", 2, epoch=0, number=1, action="attributes", body=body_of_attributes(new))
    s.proof("the former ones", "accepted", 3, epoch=0, number=2)
    s.proof("the new ones, which are on record from now on", "accepted", 4, epoch=0, number=3, values=new)
    s.proof("the former ones again", wrong, 5, epoch=0, number=4)

    s = scenario("bodies")
    share = bytes.fromhex(file["enrollment"][0]["device_share"])
    s.proof("a rekey with a share that is no point", "share-invalid", 1, epoch=0, number=0, action="rekey", body=u16(1) + frame(flipped(share)))
    s.proof("a rekey with a body that is cut short", "malformed", 2, epoch=0, number=1, action="rekey", body=rekey[:-1])
    return out


# Section 7

def tokens(device):
    root, other, out = device.root, OTHER_ROOTS[0], []

    def scenario(name, generations=None):
        steps = []
        out.append({"name": name, "generations": generations or [generation(1, root)], "steps": steps})

        def step(name, expect, seconds, made=None, next_epoch=None, highest_epoch=None, audience="platform.example", nonce=b"nonce", **how):
            made = made or device.token(**how)
            steps.append({"name": name, "now_ms": (START + seconds) * 1000, "token": made.hex(), "audience": audience,
                          "platform_nonce": nonce.hex(), "expect": expect, "next_epoch": next_epoch, "highest_epoch": highest_epoch})
            return made
        return step

    step = scenario("each field of a token", [generation(1, root), generation(2, other, "pending"), generation(4, other, "retired")])
    at = {"epoch": 0, "number": 3}
    step("another device", "wrong-device", 1, changed={"device_id": "pump-0002"}, **at)
    step("another tenant", "wrong-device", 1, changed={"tenant": "klinik-sued"}, **at)
    step("another mac", "mac-wrong", 1, changed={"mac": "00" * 32}, **at)
    step("another number", "mac-wrong", 1, changed={"number": 4}, **at)
    step("another time", "mac-wrong", 1, changed={"issued_at": START + 9}, **at)
    step("another audience than the mac covers", "mac-wrong", 1, changed={"audience": "other.example"}, audience="other.example", **at)
    step("another nonce than the mac covers", "mac-wrong", 1, changed={"platform_nonce": b"other".hex()}, nonce=b"other", **at)
    step("for another platform", "audience-wrong", 1, audience="other.example", **at)
    step("for another login", "nonce-wrong", 1, nonce=b"other", **at)
    step("for a login without a nonce", "nonce-wrong", 1, nonce=b"", **at)
    step("a generation that is pending", "generation-pending", 1, generation=2, root=other, **at)
    step("a generation that is retired", "generation-retired", 1, generation=4, root=other, **at)
    step("a generation that nobody agreed on", "generation-unknown", 1, generation=3, root=other, **at)
    made = step("the token", "accepted", 1, **at)
    step("the same again", "token-spent", 2, made=made)
    step("another one with that number", "clone-suspected", 3, issued_at=START + 3, **at)

    step = scenario("epochs")
    step("65,537 ahead of the one that is due", "epoch-ahead", 1, highest_epoch=65536, epoch=65537, number=0)
    step("the first one, within the grace of the third", "accepted", 2 * 3600 + 299, epoch=0, number=0)
    step("the first one, behind the grace", "epoch-spent", 2 * 3600 + 300, next_epoch=1, epoch=0, number=1)
    step("one that is ahead", "accepted", 2 * 3600 + 300, epoch=9, number=2)
    step("one epoch below it, which is retained", "accepted", 2 * 3600 + 300, epoch=8, number=1)
    step("two below it", "epoch-spent", 2 * 3600 + 300, next_epoch=8, epoch=7, number=3)

    step = scenario("a period shorter than the grace, which is no longer than it", [generation(1, root, schedule={**HOURLY, "period": 60})])
    step("the first epoch, within a period of the third", "accepted", 2 * 60 + 59, epoch=0, number=0)
    step("a period later", "epoch-spent", 3 * 60, next_epoch=1, epoch=0, number=1)

    step = scenario("uses", [generation(1, root, schedule={**HOURLY, "period": 0, "max_uses": 2})])
    step("the first", "accepted", 1, epoch=0, number=0)
    made = step("the second", "accepted", 1, epoch=0, number=1)
    step("a third", "epoch-spent", 1, next_epoch=1, epoch=0, number=2)
    step("the second again", "token-spent", 1, made=made)
    step("the first in the next epoch", "accepted", 1, epoch=1, number=3)
    step("a third of the epoch before, which is retained", "epoch-spent", 1, next_epoch=1, epoch=0, number=2)
    step("the second in the next epoch", "accepted", 1, epoch=1, number=4)
    step("a third in the next epoch", "epoch-spent", 1, next_epoch=2, epoch=1, number=5)
    step("another one with the second's number", "clone-suspected", 1, epoch=0, number=1, issued_at=START + 3)
    return out


def sealed(file, device):
    """With the payload of `sealed`, whose key is of epoch 1."""
    root, other, out = device.root, OTHER_ROOTS[0], []
    of = file["sealed"]
    name = f"ddkg1:{file['tenant']}/{file['device_id']}/1.data.1.{of['number']}"
    whole = {"key_name": name, "nonce": of["nonce"], "ciphertext": of["ciphertext"]}

    def scenario(called, generations):
        steps = []
        out.append({"name": called, "generations": generations, "steps": steps})

        def step(called, expect, seconds, additional=of["additional_data"], **changed):
            steps.append({"name": called, "now_ms": (START + seconds) * 1000, "sealed": message(8, {**whole, **changed}).hex(),
                          "additional_data": additional, "expect": expect, "plaintext": of["plaintext"] if expect == "accepted" else None})
        return step

    step = scenario("each field of a payload", [generation(1, root)])
    step("another nonce", "open-failed", 3600, nonce=flipped(bytes.fromhex(of["nonce"])).hex())
    step("another ciphertext", "open-failed", 3600, ciphertext=flipped(bytes.fromhex(of["ciphertext"]), 0).hex())
    step("another tag", "open-failed", 3600, ciphertext=flipped(bytes.fromhex(of["ciphertext"])).hex())
    step("other additional data", "open-failed", 3600, additional="00")
    step("another number", "open-failed", 3600, key_name=name[:-1] + "8")
    step("another device", "wrong-device", 3600, key_name=name.replace("pump-0001", "pump-0002"))
    step("a generation that nobody agreed on", "generation-unknown", 3600, key_name=name.replace("/1.data", "/2.data"))
    step("the payload, before its epoch is due", "accepted", 0)
    step("at the end of its epoch's grace", "accepted", 2 * 3600 + 299)
    step("behind it", "epoch-gone", 2 * 3600 + 300)

    step = scenario("a period shorter than the grace, which is no longer than it", [generation(1, root, schedule={**HOURLY, "period": 60})])
    step("at the end of its epoch's grace", "accepted", 2 * 60 + 59)
    step("behind it", "epoch-gone", 3 * 60)

    step = scenario("under a retired generation", [generation(1, root, "retired"), generation(2, other)])
    step("the payload", "accepted", 3600)
    step = scenario("under a pending generation", [generation(1, root, "pending"), generation(2, other)])
    step("the payload", "accepted", 3600)
    return out
