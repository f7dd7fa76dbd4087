#!/usr/bin/env python3
"""What PostgreSQL keeps of a password (RFC 5803, SCRAM-SHA-256), of the password in a file: scram.py FILE"""

import base64
import hashlib
import hmac
import os
import sys

ITERATIONS = 4096


def verifier(password: bytes, salt: bytes) -> str:
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    text = [base64.b64encode(value).decode() for value in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${ITERATIONS}:{text[0]}${text[1]}:{text[2]}"


def main() -> None:
    with open(sys.argv[1], "rb") as file:
        # As `wardein` reads the same file: less one newline.
        password = file.read().removesuffix(b"\n").removesuffix(b"\r")
    # SASLprep (RFC 4013) leaves these as they are.
    if not 16 <= len(password) <= 128 or not all(0x21 <= byte <= 0x7E for byte in password):
        sys.exit(f"{sys.argv[1]}: a password is of 16 to 128 visible ASCII characters, such as `openssl rand -base64 24` makes")
    print(verifier(password, os.urandom(16)), end="")


main()
