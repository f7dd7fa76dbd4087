"""DDKG-1's derivations and messages, as far as the added vectors need them. Each function names its section of SPEC.md."""

import base64
import hashlib
import hmac


def u8(value):
    return value.to_bytes(1, "big")


def u16(value):
    return value.to_bytes(2, "big")


def u32(value):
    return value.to_bytes(4, "big")


def u64(value):
    return value.to_bytes(8, "big")


def frame(value):
    return u32(len(value)) + value


def sha256(value):
    return hashlib.sha256(value).digest()


def b64(value):
    return base64.b64encode(value).decode()


def mac(key, value):
    return hmac.new(key, value, hashlib.sha256).digest()


def octets(value):
    """A field of a transcript: an integer in 8 bytes, text in UTF-8 (section 1)."""
    return u64(value) if isinstance(value, int) else value.encode() if isinstance(value, str) else value


def transcript(label, *fields):
    """Section 1."""
    return sha256(b"".join(frame(octets(field)) for field in ("ddkg1 " + label, *fields)))


def expand(secret, label, context=b"", length=32):
    """Section 1, for at most 32 bytes: one block of HKDF-Expand (RFC 5869, section 2.3)."""
    full = ("ddkg1 " + label).encode()
    info = u16(length) + u8(len(full)) + full + u8(len(context)) + context
    return mac(secret, info + b"\x01")[:length]


def epoch_secret(root, purpose, epoch):
    """Section 2: from the root of the purpose's tree, by the bits of the epoch."""
    node = expand(root, "purpose", purpose.encode())
    for bit in range(31, -1, -1):
        node = expand(node, "right" if epoch >> bit & 1 else "left")
    return node


def key(root, purpose, epoch, number):
    """Section 3."""
    return expand(epoch_secret(root, purpose, epoch), "key", u64(number))


def attribute_digest(name, value):
    """Section 4."""
    return sha256(frame(name.encode()) + frame(value.encode()))


def binding(challenge, recipe, values):
    """Section 5."""
    return sha256(frame(challenge) + b"".join(attribute_digest(name, values[name]) for name in recipe))


def leading(value, bits):
    """Section 7.1: the first bits, as a number."""
    return int.from_bytes(value, "big") >> (8 * len(value) - bits)


def number_digits(value):
    """Section 7.1: digits of 4 bits, the most significant first; each but the last has the fifth bit set."""
    nibbles = [int(nibble, 16) for nibble in f"{value:x}"]
    return [16 | nibble for nibble in nibbles[:-1]] + nibbles[-1:]


def bit_digits(value, bits):
    """Section 7.1: digits of 5 bits, the most significant first."""
    return [value >> place & 31 for place in range(bits - 5, -1, -5)]


def check_digit(digits):
    """Section 7.2: in the field of 32 elements, by x^5 + x^2 + 1."""
    total = 0
    for digit in digits:
        total = (total ^ digit) << 1
        total = total ^ 0b100101 if total & 32 else total
    return total


def grouped(digits, length):
    """Section 7.1: digits as text, in groups."""
    text = "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[digit] for digit in digits)
    return "-".join(text[at:at + length] for at in range(0, len(text), length))


def names_of(values):
    return sorted(values, key=str.encode)


def body_of_attributes(values):
    """Section 8."""
    return b"".join(frame(name.encode()) + frame(values[name].encode()) for name in names_of(values))


# Section 11: what is framed, what has a fixed length, and how many bytes a number has.
FORMS = {
    1: ["suite:16", "tenant:frame", "device_id:frame", "device_nonce:fixed", "device_share:framed", "attributes:rest"],
    2: ["suite:16", "authority_share:framed", "generation:64", "period:64", "max_uses:64", "not_before:64", "signature:framed",
        "authority_confirmation:fixed"],
    3: ["tenant:frame", "device_id:frame", "device_confirmation:fixed"],
    4: ["challenge:framed", "server_time:64", "recipe:names"],
    5: ["tenant:frame", "device_id:frame", "challenge:framed", "device_nonce:fixed", "generation:64", "epoch:32", "number:64",
        "action:frame", "body_digest:fixed", "mac:fixed"],
    6: ["server_time:64", "ack:fixed", "body:framed"],
    7: ["tenant:frame", "device_id:frame", "generation:64", "epoch:32", "number:64", "audience:frame", "platform_nonce:framed",
        "issued_at:64", "mac:fixed"],
    8: ["key_name:frame", "nonce:fixed", "ciphertext:framed"],
}


def recipe_bytes(names):
    return u8(len(names)) + b"".join(frame(name.encode()) for name in names)


def message(kind, fields):
    """Section 11; bytes are given in hex."""
    write = {
        "16": u16, "32": u32, "64": u64,
        "frame": lambda text: frame(text.encode()), "framed": lambda text: frame(bytes.fromhex(text)),
        "fixed": bytes.fromhex, "names": recipe_bytes, "rest": body_of_attributes,
    }
    parts = (part.split(":") for part in FORMS[kind])
    return u8(kind) + b"".join(write[form](fields[name]) for name, form in parts)


class Device:
    """Both ends of one device, as far as vectors need them."""

    def __init__(self, file, **other):
        self.tenant, self.device_id = file["tenant"], file["device_id"]
        self.root = bytes.fromhex(file["keys"]["generation_root"])
        self.values = file["attributes"]["values"]
        self.challenge_key = sha256(b"the challenge key of the vectors")
        self.drawn = 0
        self.__dict__.update(other)

    @property
    def recipe(self):
        return names_of(self.values)

    def draw(self, length):
        """Bytes that no two places have, and that are the same from run to run."""
        self.drawn += 1
        return sha256(f"{self.device_id} {self.drawn}".encode())[:length]

    def challenge(self, issued_ms, recipe=None, device_id=None, key_=None):
        """Section 11: the authority's challenge."""
        random = self.draw(16)
        names = sha256(recipe_bytes(self.recipe if recipe is None else recipe))
        bound = transcript("challenge", self.tenant, device_id or self.device_id, issued_ms, random, names)
        return u8(1) + u64(issued_ms) + random + mac(key_ or self.challenge_key, bound)

    def proof(self, epoch, number, issued_ms, action="authenticate", body=b"", generation=1, root=None, values=None, challenge=None,
              changed=None, nonce=None):
        """Section 5. `changed` has fields that are altered after the mac was made."""
        challenge = challenge or self.challenge(issued_ms)
        nonce = nonce or self.draw(32)
        T = transcript("proof", self.tenant, self.device_id, challenge, nonce, generation, epoch, number, action, sha256(body))
        K = key(root or self.root, "proof", epoch, number)
        bound = binding(challenge, self.recipe, values or self.values)
        fields = {
            "tenant": self.tenant, "device_id": self.device_id, "challenge": challenge.hex(), "device_nonce": nonce.hex(),
            "generation": generation, "epoch": epoch, "number": number, "action": action, "body_digest": sha256(body).hex(),
            "mac": mac(expand(K, "device", bound), T).hex(),
        }
        of = {"transcript": T, "ack": expand(K, "authority", bound), "made key": expand(K, "made key", bound), "fields": fields}
        return message(5, {**fields, **(changed or {})}), of

    def reply(self, of, server_time, body=b""):
        """Section 5, as bytes."""
        ack = mac(of["ack"], transcript("ack", of["transcript"], server_time, sha256(body)))
        return message(6, {"server_time": server_time, "ack": ack.hex(), "body": body.hex()})

    def token_mac(self, fields, root=None):
        """Section 7."""
        of = [fields[name] for name in ("generation", "epoch", "number", "audience")]
        T = transcript("token", self.tenant, self.device_id, *of, bytes.fromhex(fields["platform_nonce"]), fields["issued_at"])
        return mac(expand(key(root or self.root, "token", fields["epoch"], fields["number"]), "token"), T)

    def token(self, epoch, number, audience="platform.example", nonce=b"nonce", generation=1, root=None, issued_at=1790000000,
              changed=None):
        fields = {"tenant": self.tenant, "device_id": self.device_id, "generation": generation, "epoch": epoch, "number": number,
                  "audience": audience, "platform_nonce": nonce.hex(), "issued_at": issued_at}
        fields["mac"] = self.token_mac(fields, root).hex()
        return message(7, {**fields, **(changed or {})})
