"""AES-256-GCM (FIPS 197, NIST SP 800-38D) in Python alone: slow, and good for vectors, whose keys are no secrets."""


def seal(key, nonce, plaintext, additional):
    """The ciphertext, and behind it the tag of 16 bytes, under a nonce of 12 bytes."""
    rounds = expanded(key)
    counter = [nonce + count.to_bytes(4, "big") for count in range(1, 2 + (len(plaintext) + 15) // 16)]
    first, *stream = [encrypt(rounds, block) for block in counter]
    ciphertext = bytes(a ^ b for a, b in zip(plaintext, b"".join(stream)))
    lengths = (8 * len(additional)).to_bytes(8, "big") + (8 * len(ciphertext)).to_bytes(8, "big")
    hashed = ghash(encrypt(rounds, bytes(16)), padded(additional) + padded(ciphertext) + lengths)
    return ciphertext + bytes(a ^ b for a, b in zip(hashed, first))


def padded(data):
    return data + bytes(-len(data) % 16)


def ghash(subkey, data):
    """SP 800-38D, algorithms 1 and 2."""
    subkey, hashed = int.from_bytes(subkey, "big"), 0
    for at in range(0, len(data), 16):
        left, product = hashed ^ int.from_bytes(data[at : at + 16], "big"), 0
        multiple = subkey
        for bit in range(127, -1, -1):
            if left >> bit & 1:
                product ^= multiple
            multiple = multiple >> 1 ^ (0xE1 << 120 if multiple & 1 else 0)
        hashed = product
    return hashed.to_bytes(16, "big")


def double(byte):
    return (byte << 1 ^ (0x11B if byte & 0x80 else 0)) & 0xFF


def box():
    """FIPS 197, section 5.1.1: the inverse in GF(2^8), and the affine map. 3 generates the field's elements but 0."""
    power, log, element = [], {}, 1
    for exponent in range(255):
        power.append(element)
        log[element] = exponent
        element ^= double(element)
    table = []
    for byte in range(256):
        inverse = power[-log[byte] % 255] if byte else 0
        rotated = [inverse << shift | inverse >> 8 - shift for shift in range(5)]
        table.append((rotated[0] ^ rotated[1] ^ rotated[2] ^ rotated[3] ^ rotated[4] ^ 0x63) & 0xFF)
    return table


BOX = box()


def expanded(key):
    """FIPS 197, section 5.2, for 256 bits: the keys of the 15 rounds."""
    words, constant = [list(key[at : at + 4]) for at in range(0, 32, 4)], 1
    for count in range(8, 60):
        word = list(words[-1])
        if count % 8 == 0:
            word = [BOX[byte] for byte in word[1:] + word[:1]]
            word[0] ^= constant
            constant = double(constant)
        elif count % 8 == 4:
            word = [BOX[byte] for byte in word]
        words.append([a ^ b for a, b in zip(word, words[count - 8])])
    return [sum(words[at : at + 4], []) for at in range(0, 60, 4)]


def encrypt(rounds, block):
    """FIPS 197, section 5.1. The state is in columns of four bytes."""
    state = [a ^ b for a, b in zip(block, rounds[0])]
    for number, round_key in enumerate(rounds[1:], 1):
        state = [BOX[state[(at + 4 * (at % 4)) % 16]] for at in range(16)]
        if number < 14:
            mixed = []
            for at in range(0, 16, 4):
                column, every = state[at : at + 4], state[at] ^ state[at + 1] ^ state[at + 2] ^ state[at + 3]
                mixed += [column[row] ^ every ^ double(column[row] ^ column[(row + 1) % 4]) for row in range(4)]
            state = mixed
        state = [a ^ b for a, b in zip(state, round_key)]
    return bytes(state)
